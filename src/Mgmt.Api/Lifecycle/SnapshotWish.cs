namespace Mgmt.Api;

/// <summary>What a caller wants of a snapshot: a name for people or null, whether pruning spares it, whether the guest's file systems are to be at rest.</summary>
public sealed record SnapshotWish(string? Name, bool Pinned, QuiesceWish Quiesce);
