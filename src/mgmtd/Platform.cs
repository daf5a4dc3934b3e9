using System.Collections.Immutable;
using Mgmt.Core;
using Mgmt.Machined;
using Mgmt.TestHost;
using Microsoft.Extensions.Logging;

namespace Mgmt.Daemon;

/// <summary>The host that a backend URI stands for: what runs VMs, what keeps disks, what a new store begins with.</summary>
internal sealed record Platform(IVmBackend Backend, IMachineRegistry Machines, IReadOnlyList<IPoolDriver> PoolDrivers, HostSeed Seed, IReadOnlyList<VmName> StartedAtFirst)
{
    /// <summary>ERRORS: MgmtException with a sentence.</summary>
    internal static async Task<Platform> OpenAsync(DaemonSettings settings, TimeProvider clock, ILoggerFactory logs, CancellationToken cancellation) =>
        settings.IsTest ? OpenTest(settings, clock) : await OpenQemuAsync(settings, clock, logs, cancellation);

    private static Platform OpenTest(DaemonSettings settings, TimeProvider clock)
    {
        var test = TestHostDefinition.Load(settings.Backend, clock);
        return new(test.Backend, test.Machines, test.Drivers, test.Seed, test.Started);
    }

    private static async Task<Platform> OpenQemuAsync(DaemonSettings settings, TimeProvider clock, ILoggerFactory logs, CancellationToken cancellation)
    {
        await Task.CompletedTask;
        throw new NotSupportedException(FreshHost.ToString());
    }

    private static HostSeed FreshHost { get; } = new(
        [HostSeed.Dom0],
        HostSeed.DefaultLabels,
        [new(PoolName.Parse("default"), "qcow2", VmRecord.Empty), new(PoolName.Parse("linux-kernel"), "linux-kernel", VmRecord.Empty)],
        VmRecord.Empty);
}
