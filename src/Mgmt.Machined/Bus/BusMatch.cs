namespace Mgmt.Machined.Bus;

/// <summary>A match rule, installed anew on every connection. The handler runs on the bus thread and must not wait.</summary>
internal sealed record BusMatch(string Rule, Action<BusReader> OnSignal);
