using System.Net.Sockets;
using System.Text.Json;
using System.Threading.Channels;
using Mgmt.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Qemu;

/// <summary>What a running VM is made of, handed over when it was launched or adopted.</summary>
internal sealed record QemuVmParts(
    string Name, VmRun Run, IReadOnlyCollection<string> Faults, VmState InitialState, long MemoryKiB, bool Adopted,
    PidFd Process, RunDirectory Directory, QmpConnection Monitor, SafeFileHandle? Output);

/// <summary>
/// A VM's QEMU process: its monitor, its guest agent, and its end. One loop (QemuVm.Events.cs) turns what happens into signals.
/// </summary>
internal sealed partial class QemuVm : IRunningVm
{
    // At the bound the oldest is dropped: what a slow reader misses it can ask for. Exited is last and never dropped.
    internal const int SignalCapacity = 1024;

    private readonly QemuVmParts _parts;
    private readonly QemuOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly ExitWatcher _watcher;
    private readonly GuestAgentSession _agent;
    private readonly DiskCopies _copies;
    private readonly SerialConsole _console;
    private readonly QemuPorts _ports;
    private readonly QemuDeviceSlots _devices;
    // Held while the processors are told to run or to stop.
    private readonly SemaphoreSlim _runGate = new(1, 1);
    private bool _pauseAsked;
    private readonly Task _repairing;
    private Task _goingOn = Task.CompletedTask;
    private readonly Channel<VmSignal> _signals = Channel.CreateBounded<VmSignal>(
        new BoundedChannelOptions(SignalCapacity) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
    private readonly TaskCompletionSource<VmExit> _exited = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _stop = new();
    private readonly Task<string?> _ended;
    private readonly Task _follow;
    private volatile QmpConnection _monitor;
    private volatile bool _killAsked;
    // As the events have it so far; only the loop that follows them changes it.
    private bool _running;
    private bool _disposed;

    public QemuVm(QemuVmParts parts, QemuOptions options, ExitWatcher watcher, TimeProvider time, ILogger log)
    {
        _parts = parts;
        _options = options;
        _time = time;
        _log = log;
        _watcher = watcher;
        _monitor = parts.Monitor;
        _running = parts.InitialState == VmState.Running;
        _agent = new GuestAgentSession(ConnectAgentAsync, state => Signal(new VmSignal.AgentChanged(state)), new AgentTimes(), time, log);
        _agent.Start(maybeOpen: parts.Adopted);
        _ended = watcher.Watch(parts.Process);
        _copies = new DiskCopies(parts.Name, () => new DiskCommands(_monitor, options.CommandTimeout), _ended, options.CommandTimeout, options.CopyBytesPerSecond, time, log);
        _console = new SerialConsole(() => _monitor, options.CommandTimeout);
        VsockCid = parts.Directory.VsockCid;
        _ports = new QemuPorts(parts.Directory, () => _monitor, options.CommandTimeout);
        _devices = new QemuDeviceSlots(parts.Name, () => _monitor, options, device => Signal(new VmSignal.DeviceGone(device)), time, log);
        _follow = FollowAsync();
        _repairing = parts.Adopted ? _console.RepairAsync(_stop.Token) : Task.CompletedTask;
    }

    /// <inheritdoc/>
    public VmRun Run => _parts.Run;

    /// <inheritdoc/>
    public IReadOnlyCollection<string> Faults => _parts.Faults;

    /// <inheritdoc/>
    public VmState InitialState => _parts.InitialState;

    /// <inheritdoc/>
    public IGuestAgent Agent => _agent;

    /// <inheritdoc/>
    public IGuestPorts? Ports => _ports;

    /// <inheritdoc/>
    public uint? VsockCid { get; }

    /// <inheritdoc/>
    public ChannelReader<VmSignal> Signals => _signals.Reader;

    /// <inheritdoc/>
    public Task<VmExit> Exited => _exited.Task;

    /// <inheritdoc/>
    public Task ContinueAsync(CancellationToken cancellation) => RunAsync(run: true, cancellation);

    /// <inheritdoc/>
    public Task PauseAsync(CancellationToken cancellation) => RunAsync(run: false, cancellation);

    /// <inheritdoc/>
    public Task PressPowerButtonAsync(CancellationToken cancellation) => AskAsync("system_powerdown", cancellation);

    /// <inheritdoc/>
    public Task WakeUpAsync(CancellationToken cancellation) => AskAsync("system_wakeup", cancellation);

    /// <inheritdoc/>
    public Task<IDiskCopy> BeginCopyAsync(VolumeName disk, ImageLayer target, Func<Task>? ready, CancellationToken cancellation) =>
        _copies.BeginAsync(disk, target, ready, cancellation);

    /// <inheritdoc/>
    public Task ResizeDiskAsync(VolumeName disk, long sizeBytes, CancellationToken cancellation) => _copies.ResizeAsync(disk, sizeBytes, cancellation);

    /// <inheritdoc/>
    public Task<Stream> OpenConsoleAsync(CancellationToken cancellation) => _console.OpenAsync(cancellation);

    /// <inheritdoc/>
    public IDeviceSlots Devices => _devices;

    /// <inheritdoc/>
    public async Task KillAsync(CancellationToken cancellation)
    {
        _killAsked = true;
        _parts.Process.Kill();
        try
        {
            await _ended.WaitAsync(_options.KillTimeout, _time, cancellation);
        }
        catch (TimeoutException e)
        {
            throw new MgmtException(e, ErrorCode.MgmtTimeoutError, "the VM's process was killed and is not gone yet");
        }
    }

    /// <inheritdoc/>
    public VmUsage? Usage() =>
        !_ended.IsCompleted && ProcessStat.TryRead(Run.Pid) is { } stat && stat.StartTicks == Run.StartTicks
            ? new VmUsage(_parts.MemoryKiB, stat.ProcessorTime)
            : null;

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_disposed)
        {
            return;
        }
        _disposed = true;
        _stop.Cancel();
        await _follow;
        await _repairing;
        await _agent.DisposeAsync();
        await _copies.DisposeAsync();
        await _devices.DisposeAsync();
        await _goingOn;
        await _monitor.DisposeAsync();
        _watcher.Forget(_parts.Process);
        _parts.Process.Dispose();
        _parts.Output?.Dispose();
        _signals.Writer.TryComplete();
        _exited.TrySetCanceled();
        _stop.Dispose();
    }

    private async Task RunAsync(bool run, CancellationToken cancellation)
    {
        await _runGate.WaitAsync(cancellation);
        try
        {
            _pauseAsked = !run;
            await AskAsync(run ? "cont" : "stop", cancellation);
        }
        finally
        {
            _runGate.Release();
        }
    }

    private async Task<JsonElement> AskAsync(string command, CancellationToken cancellation) =>
        await _monitor.ExecuteAsync(command, null, _options.CommandTimeout, cancellation);

    private async Task<Stream> ConnectAgentAsync(CancellationToken cancellation)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(_parts.Directory.AgentSocket), cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private void Signal(VmSignal signal) => _signals.Writer.TryWrite(signal);
}
