using System.Globalization;
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

    /// <summary>Memory of the host that more VMs can have, in MiB. SOURCE: proc(5), MemAvailable.</summary>
    internal static long AvailableMiB() => File.ReadLines("/proc/meminfo").Where(line => line.StartsWith("MemAvailable:", StringComparison.Ordinal))
        .Select(line => long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) >> 10).FirstOrDefault(long.MaxValue);
}
