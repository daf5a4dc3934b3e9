namespace Mgmt.Core;

/// <summary>Capacity and use of a pool in bytes; null where the driver cannot know.</summary>
public sealed record PoolUsage(long? SizeBytes, long? UsedBytes)
{
    /// <summary>Room for what describes the volumes, in bytes, where a pool keeps it apart (thin pools); null elsewhere.</summary>
    public long? MetadataSizeBytes { get; init; }

    /// <summary>How much of that is used, in bytes.</summary>
    public long? MetadataUsedBytes { get; init; }
}
