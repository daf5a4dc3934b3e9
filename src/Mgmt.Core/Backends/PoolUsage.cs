namespace Mgmt.Core;

/// <summary>Capacity and use of a pool in bytes; null where the driver cannot know.</summary>
public sealed record PoolUsage(long? SizeBytes, long? UsedBytes);
