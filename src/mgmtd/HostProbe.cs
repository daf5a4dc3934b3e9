using Mgmt.Api;

namespace Mgmt.Daemon;

/// <summary>Facts of this host.</summary>
internal static class HostProbe
{
    internal static HostFacts Facts(PoolSet pools) => new()
    {
        MemoryMiB = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes >> 20,
        Processors = Environment.ProcessorCount,
        KernelExists = pools.HasKernel,
    };
}
