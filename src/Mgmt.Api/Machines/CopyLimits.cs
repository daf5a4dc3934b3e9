namespace Mgmt.Api;

/// <summary>Bounds of a copy from or to a container: bytes, what must stay free where it is staged, and how long it may take in all.</summary>
public sealed record CopyLimits(long MaxBytes)
{
    /// <summary>What must stay free on the file system of the staging directory.</summary>
    public long MinFreeBytes { get; init; } = 256L << 20;

    /// <summary>How long the host's registry may take for it.</summary>
    public TimeSpan Deadline { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>How often the bounds are looked at meanwhile.</summary>
    public TimeSpan LookEvery { get; init; } = TimeSpan.FromMilliseconds(250);
}
