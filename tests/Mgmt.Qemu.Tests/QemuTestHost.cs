using System.Diagnostics;
using Mgmt.Core;
using Mgmt.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mgmt.Qemu.Tests;

/// <summary>A run directory, a registry, and backends on them; whatever still runs at the end is killed.</summary>
internal sealed class QemuTestHost : IAsyncDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    // Short: sockets lie below it.
    private readonly string _directory = Directory.CreateTempSubdirectory("mq-").FullName;
    private readonly List<IAsyncDisposable> _owned = [];
    private readonly List<VmRun> _runs = [];
    private int _lastQid = 40;

    public FakeRegistry Registry { get; } = new();

    public string RunDirectory => Path.Combine(_directory, "run");

    public string Disks => Path.Combine(_directory, "disks");

    public Task<QemuBackend> OpenBackendAsync(CancellationToken cancellation) => OpenBackendAsync(0, cancellation);

    public Task<QemuBackend> OpenBackendAsync(long copyBytesPerSecond, CancellationToken cancellation) =>
        OpenBackendAsync(options => options with { CopyBytesPerSecond = copyBytesPerSecond }, cancellation);

    public async Task<QemuBackend> OpenBackendAsync(Func<QemuOptions, QemuOptions> with, CancellationToken cancellation)
    {
        Directory.CreateDirectory(Disks);
        var options = with(new QemuOptions { RunDirectory = RunDirectory, System = Environment.IsPrivilegedProcess });
        var backend = await QemuBackend.OpenAsync(options, Registry, TimeProvider.System, NullLoggerFactory.Instance, cancellation);
        _owned.Insert(0, backend);
        return backend;
    }

    public VmLaunch NewLaunch(string name) => new()
    {
        Name = VmName.Parse(name),
        Uuid = Guid.NewGuid(),
        Qid = ++_lastQid,
        StartGuid = Guid.NewGuid(),
        VirtualProcessors = 1,
        MemoryMiB = 128,
        VirtMode = "hvm",
        Boot = GuestFiles.OpenKernel(),
        Disks = [GuestFiles.NewRoot(Disks, name)],
    };

    public async Task<IRunningVm> LaunchAsync(QemuBackend backend, VmLaunch launch, CancellationToken cancellation) =>
        Own(await backend.LaunchAsync(launch, cancellation));

    public IRunningVm Own(IRunningVm vm)
    {
        _runs.Add(vm.Run);
        _owned.Insert(0, vm);
        return vm;
    }

    public static VmRecord RecordOf(VmLaunch launch) => new() { Name = launch.Name, Class = VmClass.AppVM, Qid = launch.Qid, Uuid = launch.Uuid };

    public static bool IsAlive(VmRun run) => ProcessStat.TryRead(run.Pid) is { } stat && stat.StartTicks == run.StartTicks && stat.State != 'Z';

    public static async Task<T> SignalAsync<T>(IRunningVm vm, Func<T, bool> wanted, CancellationToken cancellation)
        where T : VmSignal
    {
        await foreach (var signal in vm.Signals.ReadAllAsync(cancellation))
        {
            if (signal is T found && wanted(found))
            {
                return found;
            }
        }
        throw new AssertionException($"no {typeof(T).Name} before the end");
    }

    public static Task AgentReadyAsync(IRunningVm vm, CancellationToken cancellation) =>
        SignalAsync<VmSignal.AgentChanged>(vm, signal => signal.State == AgentState.Ready, cancellation);

    public async ValueTask DisposeAsync()
    {
        foreach (var owned in _owned)
        {
            await owned.DisposeAsync();
        }
        foreach (var run in _runs.Where(IsAlive))
        {
            Process.GetProcessById(run.Pid).Kill();
        }
        Directory.Delete(_directory, recursive: true);
    }
}
