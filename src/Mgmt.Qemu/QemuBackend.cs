using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Qemu;

/// <summary>VMs as QEMU processes on this host. SOURCE: docs/lifecycle.md.</summary>
public sealed class QemuBackend : IVmBackend
{
    private readonly QemuOptions _options;
    private readonly QemuHost _host;
    private readonly Privileges _privileges;
    private readonly IReadOnlyDictionary<string, string> _facts;
    private readonly IMachineRegistry _registry;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    // A device that went lets go of its nodes a moment later.
    private static readonly TimeSpan s_letGo = TimeSpan.FromSeconds(1);
    private readonly ExitWatcher _watcher = new();

    private QemuBackend(QemuOptions options, QemuHost host, Privileges privileges, string version, IMachineRegistry registry, TimeProvider time, ILogger log)
    {
        _options = options;
        _host = host;
        _privileges = privileges;
        _registry = registry;
        _time = time;
        _log = log;
        _facts = new Dictionary<string, string>
        {
            ["accelerator"] = host.Accelerator,
            ["accelerator-reason"] = host.Reason,
            ["cpu-model"] = host.CpuModel,
            ["qemu-version"] = version,
            ["vsock"] = !options.Vsock ? "off" : File.Exists(options.VsockDevice) ? "on" : $"there is no {options.VsockDevice}: VMs start without vsock until the module vhost_vsock is loaded (modprobe vhost_vsock)",
            ["sandbox"] = options.System ? "seccomp, uid per VM, no capabilities" : "seccomp",
        };
    }

    /// <summary>
    /// Finds out what this host can do (QEMU's version, whether KVM really works: once per boot) and gives the backend.
    /// The registry stays the caller's. ERRORS: MgmtUnavailableError when QEMU is missing.
    /// </summary>
    public static async Task<QemuBackend> OpenAsync(
        QemuOptions options, IMachineRegistry registry, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellation)
    {
        var log = loggers.CreateLogger<QemuBackend>();
        Directory.CreateDirectory(options.RunDirectory);
        var version = await QemuVersion.ReadAsync(options, cancellation);
        var privileges = new Privileges(options.System, options.UidBase, KvmProbe.Group());
        var host = await new KvmProbe(options, privileges).RunAsync(cancellation);
        if (!host.IsKvm)
        {
            privileges = privileges with { KvmGroup = null };
            Log.NoKvm(log, host.Reason);
        }
        return new QemuBackend(options, host, privileges, version, registry, time, log);
    }

    /// <inheritdoc/>
    public string Uri => _options.Uri;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, string> Describe() => _facts;

    /// <inheritdoc/>
    public async Task<IRunningVm> LaunchAsync(VmLaunch launch, CancellationToken cancellation)
    {
        using (launch)
        {
            var launcher = new QemuLauncher(_options, _host, _privileges, _registry, _time, _log);
            return new QemuVm(await launcher.LaunchAsync(launch, cancellation), _options, _watcher, _time, _log);
        }
    }

    /// <inheritdoc/>
    public async Task<IRunningVm?> AdoptAsync(VmRecord vm, VmRun run, CancellationToken cancellation)
    {
        var directory = new RunDirectory(run.Directory);
        if (QemuProcess.TryOpen(run.Pid, run.StartTicks, run.BootId) is not { } process)
        {
            RemoveIfOf(run, directory);
            return null;
        }
        QmpConnection? monitor = null;
        try
        {
            var name = vm.Name.Value;
            monitor = await MonitorAccess.ConnectAsync(name, directory, _options.AdoptTimeout, _time, _log, cancellation);
            if (await MonitorAccess.UuidAsync(monitor, _options.AdoptTimeout, cancellation) != vm.Uuid)
            {
                throw new MgmtException(ErrorCode.MgmtUnavailableError, "the process of %s is that of another VM", name);
            }
            var state = await MonitorAccess.StateAsync(monitor, _options.AdoptTimeout, cancellation);
            var memory = await MonitorAccess.MemoryKiBAsync(monitor, _options.AdoptTimeout, cancellation);
            await TidyAsync(name, monitor, cancellation);
            var owned = run.Machine.Length > 0 && await _registry.OwnsAsync(run.Machine, vm.Uuid, run.Pid, cancellation) == true;
            Log.Adopted(_log, name, run.Pid);
            var parts = new QemuVmParts(name, run, [.. owned ? (IEnumerable<string>)[] : ["machined"], .. QemuLauncher.VsockFaults(_options, directory)], state, memory, Adopted: true, process, directory, monitor, Output: null);
            return new QemuVm(parts, _options, _watcher, _time, _log);
        }
        catch (Exception e)
        {
            if (monitor is not null)
            {
                await monitor.DisposeAsync();
            }
            var gone = process.HasExited();
            process.Dispose();
            if (gone && e is MgmtException)
            {
                RemoveIfOf(run, directory);
                return null;
            }
            throw;
        }
    }

    /// <inheritdoc/>
    public async Task KillAsync(VmRun run, CancellationToken cancellation)
    {
        await EndAsync(run.Pid, run.StartTicks, run.BootId);
        RemoveIfOf(run, new RunDirectory(run.Directory));
    }

    /// <inheritdoc/>
    public async Task ReapStraysAsync(IReadOnlyCollection<VmRun> known, CancellationToken cancellation)
    {
        foreach (var directory in RunDirectory.All(_options.RunDirectory))
        {
            cancellation.ThrowIfCancellationRequested();
            var recorded = directory.ReadProcess();
            if (known.Any(run => run.Directory == directory.Path && run.StartGuid == recorded?.StartGuid))
            {
                continue;
            }
            var killed = recorded is not null && recorded.BootId == ProcessStat.BootId && await EndAsync(recorded);
            directory.Remove();
            Log.StrayReaped(_log, directory.Path, killed);
        }
    }

    /// <summary>Lets go of all VMs; their processes live on.</summary>
    public ValueTask DisposeAsync() => _watcher.DisposeAsync();

    /// <summary>Copies of disks and changes of devices that a dead daemon began lead nowhere. What cannot be removed now is when the disk is copied, or the place used, again.</summary>
    private async Task TidyAsync(string vm, QmpConnection monitor, CancellationToken cancellation)
    {
        using var deadline = new CancellationTokenSource(_options.AdoptTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellation);
        var disks = new DiskCommands(monitor, _options.AdoptTimeout);
        try
        {
            await CopyRemains.RemoveAsync(disks, CopyNames.Prefix, _time, either.Token);
        }
        catch (Exception e) when (e is MgmtException || (e is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            Log.CopyRemains(_log, vm, e);
        }
        try
        {
            await DeviceRemains.RemoveUnusedAsync(new DeviceCommands(monitor, _options.AdoptTimeout), disks, s_letGo, _time, either.Token);
        }
        catch (Exception e) when (e is MgmtException || (e is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            Log.DeviceRemains(_log, vm, e);
        }
    }

    private async Task<bool> EndAsync(RecordedProcess recorded)
    {
        if (recorded is { Pid: { } pid, StartTicks: { } ticks })
        {
            return await EndAsync(pid, ticks, recorded.BootId);
        }
        return QemuProcess.FindByMark(recorded.StartGuid) is { } found && await EndAsync(found.Pid, found.StartTicks, recorded.BootId);
    }

    private async Task<bool> EndAsync(int pid, ulong startTicks, string bootId)
    {
        using var process = QemuProcess.TryOpen(pid, startTicks, bootId);
        if (process is null)
        {
            return false;
        }
        process.Kill();
        await ProcessEnd.WaitAsync(process, _options.KillTimeout, _time);
        process.TakeStatus();
        return true;
    }

    // The directory may already be that of a later start of the same VM.
    private static void RemoveIfOf(VmRun run, RunDirectory directory)
    {
        if (run.Directory.Length > 0 && directory.ReadProcess()?.StartGuid == run.StartGuid)
        {
            directory.Remove();
        }
    }
}
