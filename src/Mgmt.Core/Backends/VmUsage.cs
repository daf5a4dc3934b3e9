namespace Mgmt.Core;

/// <summary>What a running VM uses: memory assigned in KiB, processor time so far.</summary>
public sealed record VmUsage(long MemoryKiB, TimeSpan ProcessorTime);
