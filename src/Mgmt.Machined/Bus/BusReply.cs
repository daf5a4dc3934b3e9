namespace Mgmt.Machined.Bus;

/// <summary>An answer, or why there is none. Value means something only when Failure is null.</summary>
internal readonly record struct BusReply<T>(T? Value, BusFailure? Failure);
