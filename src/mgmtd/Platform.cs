using System.Collections.Immutable;
using Mgmt.Core;
using Mgmt.Devices;
using Mgmt.Machined;
using Mgmt.Qemu;
using Mgmt.Storage;
using Mgmt.TestHost;
using Microsoft.Extensions.Logging;

namespace Mgmt.Daemon;

/// <summary>The host that a backend URI stands for: what runs VMs, what keeps disks, which VMs a new store starts.</summary>
internal sealed record Platform(IVmBackend Backend, IMachineRegistry Machines, IHostMachines HostMachines, IReadOnlyList<IPoolDriver> PoolDrivers, IReadOnlyList<VmName> StartedAtFirst, IDeviceHost Devices)
{
    internal static Platform OfTest(TestHostDefinition test) => new(test.Backend, test.Machines, new TestHostMachines(), test.Drivers, test.Started, test.Devices);

    /// <summary>Tries out QEMU and KVM. ERRORS: MgmtUnavailableError with a sentence.</summary>
    internal static async Task<Platform> OpenQemuAsync(DaemonSettings settings, TimeProvider clock, ILoggerFactory logs, CancellationToken cancellation)
    {
        // A session has no right to make machines: the registry stays off and nothing waits for it.
        var machines = new MachinedRegistry(new MachinedOptions { Enabled = settings.Machined && !settings.IsSession }, clock, logs.CreateLogger<MachinedRegistry>());
        machines.Start();
        var options = new QemuOptions { Uri = settings.Backend, RunDirectory = settings.RunDirectory, System = !settings.IsSession, UidBase = settings.UidBase, GuestPorts = settings.GuestPorts, GuestAgentPorts = settings.GuestAgentPorts, Vsock = settings.GuestVsock, DevicePorts = settings.DevicePorts, AudioBackend = settings.AudioBackend, CopyBytesPerSecond = (long)settings.SnapshotMiBPerSecond << 20 };
        var backend = await QemuBackend.OpenAsync(options, machines, clock, logs, cancellation);
        IPoolDriver[] drivers =
        [
            new Qcow2Driver(settings.PoolRoots, logs.CreateLogger<Qcow2Driver>(), clock),
            new LvmThinDriver(logs.CreateLogger<LvmThinDriver>(), clock),
            new MachinedDriver(machines.Images, logs.CreateLogger<MachinedDriver>(), clock),
            new FileReflinkDriver(settings.PoolRoots, logs.CreateLogger<FileReflinkDriver>(), clock),
            new LinuxKernelDriver(settings.PoolRoots, logs.CreateLogger<LinuxKernelDriver>(), clock),
        ];
        var devices = new HostDevices(new HostDeviceOptions { ExportedFiles = settings.ExportedFiles, OwnDirectories = [settings.StateDirectory, .. settings.PoolRoots], AudioBackend = settings.AudioBackend },
            logs.CreateLogger<HostDevices>(), clock);
        return new(backend, machines, machines.Machines, drivers, [], devices);
    }

    /// <summary>What a new store of a real host begins with.</summary>
    internal static HostSeed FreshHost { get; } = new(
        [HostSeed.Dom0],
        HostSeed.DefaultLabels,
        [new(PoolName.Parse("default"), "qcow2", VmRecord.Empty), new(PoolName.Parse("linux-kernel"), "linux-kernel", VmRecord.Empty)],
        VmRecord.Empty);
}
