using System.Text.Json;
using System.Threading.Channels;
using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Qemu;

/// <summary>
/// One VM's guest agent over the life of the VM: gets into step when the guest opens the port, runs queued commands one by one,
/// and gets into step again after anything unexpected, so that a late answer never becomes the answer to the next command.
/// </summary>
/// <remarks>
/// Absent → (port opened) Connecting → (sync and ping answered) Ready → (deadline passed, nonsense, port closed) Lost → Ready.
/// One loop does all of it. Without an open port it sleeps; with a silent agent it tries again after growing pauses.
/// </remarks>
internal sealed partial class GuestAgentSession : IGuestAgent, IAsyncDisposable
{
    // At the bound: MgmtBusyError.
    internal const int QueueCapacity = 16;

    private readonly Func<CancellationToken, Task<Stream>> _connect;
    private readonly Action<AgentState> _changed;
    private readonly AgentTimes _times;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly Channel<AgentRequest> _queue = Channel.CreateBounded<AgentRequest>(new BoundedChannelOptions(QueueCapacity) { SingleReader = true });
    // What freezes and thaws goes before all else; while the guest may be frozen the rest waits, for it would be refused.
    private readonly Channel<AgentRequest> _freezing = Channel.CreateBounded<AgentRequest>(new BoundedChannelOptions(QueueCapacity) { SingleReader = true });
    private readonly Channel<bool> _wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private CancellationTokenSource _portClosed = new();
    private bool _portOpen;
    private long _session;
    private bool _everReady;
    private bool _disposed;
    private AgentState _state = AgentState.Absent;
    private AgentChannel? _channel;
    private bool _outOfStep = true;
    // Only the loop knows.
    private bool _mayBeFrozen;
    private Task _loop = Task.CompletedTask;

    public GuestAgentSession(Func<CancellationToken, Task<Stream>> connect, Action<AgentState> changed, AgentTimes times, TimeProvider time, ILogger log)
    {
        _connect = connect;
        _changed = changed;
        _times = times;
        _time = time;
        _log = log;
    }

    /// <inheritdoc/>
    public AgentState State
    {
        get
        {
            lock (_gate)
            {
                return _state;
            }
        }
    }

    /// <inheritdoc/>
    public long Session => Interlocked.Read(ref _session);

    /// <summary>Starts the loop. <paramref name="maybeOpen"/>: the port may be open already (adoption), so try at once.</summary>
    public void Start(bool maybeOpen)
    {
        if (maybeOpen)
        {
            PortChanged(true);
        }
        _loop = RunAsync(_stop.Token);
    }

    /// <summary>The guest opened or closed the port.</summary>
    public void PortChanged(bool open)
    {
        lock (_gate)
        {
            if (_disposed)
            {
                return;
            }
            _portOpen = open;
            Interlocked.Increment(ref _session);
            if (_portClosed.IsCancellationRequested)
            {
                _portClosed = new CancellationTokenSource();
            }
            if (!open)
            {
                _portClosed.Cancel();
            }
            Become(open ? AgentState.Connecting : _everReady ? AgentState.Lost : AgentState.Absent);
        }
        _wake.Writer.TryWrite(true);
    }

    /// <inheritdoc/>
    public async Task<JsonElement> ExecuteAsync(string command, string? argumentsJson, TimeSpan deadline, CancellationToken cancellation) =>
        await QueueAsync(new AgentRequest(command, argumentsJson, silent: false, deadline, _time, cancellation), cancellation);

    /// <inheritdoc/>
    public async Task SendAsync(string command, string? argumentsJson, CancellationToken cancellation) =>
        await QueueAsync(new AgentRequest(command, argumentsJson, silent: true, _times.Send, _time, cancellation), cancellation);

    /// <summary>Stops the loop and fails what is queued; the state is Absent from then on. May be repeated.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            if (_disposed)
            {
                return;
            }
            _disposed = true;
            _portOpen = false;
            _state = AgentState.Absent;
        }
        _stop.Cancel();
        _queue.Writer.TryComplete();
        _freezing.Writer.TryComplete();
        await _loop;
        FailQueued();
        if (_channel is not null)
        {
            await _channel.DisposeAsync();
        }
        _stop.Dispose();
    }

    private async Task<JsonElement> QueueAsync(AgentRequest request, CancellationToken cancellation)
    {
        if (State != AgentState.Ready)
        {
            request.Dispose();
            throw Unavailable();
        }
        if (!(request.IsAboutFreezing ? _freezing : _queue).Writer.TryWrite(request))
        {
            request.Dispose();
            throw State != AgentState.Ready ? Unavailable() : new MgmtException(ErrorCode.MgmtBusyError, "too many commands wait for this guest agent");
        }
        _wake.Writer.TryWrite(true);
        try
        {
            return await request.Done.Task.WaitAsync(request.Token);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new MgmtException(ErrorCode.MgmtTimeoutError, "the guest agent did not answer %s in time", request.Command);
        }
    }

    private static MgmtException Unavailable() => new(ErrorCode.MgmtUnavailableError, "the guest agent is not ready");

    private void Become(AgentState state)
    {
        lock (_gate)
        {
            if (_state == state || _disposed)
            {
                return;
            }
            _state = state;
            _everReady |= state == AgentState.Ready;
            // Under the gate, so that the reports come in the order of the changes; it only writes to a queue.
            _changed(state);
        }
    }
}
