using System.Buffers;
using System.Net.Sockets;
using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Qrexec;

/// <summary>
/// What qrexec-daemon is on Xen, for one guest: dials its agent's control channel, takes its calls, gives each a data channel, and asks it for commands of the host's. An agent that ends is
/// dialled again. A channel that an earlier daemon left is gone on with: what it had asked and was not told is refused.
/// SOURCE: qrexec protocol, versions 2 to 4.
/// </summary>
public sealed class AgentLink : IControlEvents
{
    private readonly uint _domain;
    private readonly string _name;
    private readonly VchanDirectory _directory;
    private readonly IGuestCallHandler _handler;
    private readonly AgentLimits _limits;
    private readonly TimeProvider _clock;
    private readonly ILogger _log;
    private readonly KeptLink _kept;
    private readonly Lock _gate = new();
    // Under the gate.
    private readonly HashSet<Task> _serving = [];
    private TaskCompletionSource _greeted = NewSignal();
    // The loop's own, but for the output.
    private readonly Queue<TriggerService> _called = new();
    private volatile PortOutput? _output;
    private int _version;
    private CancellationToken _stopping;

    /// <summary>The guest of that domain number, called <paramref name="name"/> in logs; null <paramref name="kept"/>: its channel ends with the daemon.</summary>
    public AgentLink(uint domain, string name, VchanDirectory directory, IGuestCallHandler handler, AgentLimits limits, TimeProvider clock, ILogger log, IKeptControl? kept = null) =>
        (_domain, _name, _directory, _handler, _limits, _clock, _log, _kept) = (domain, name, directory, handler, limits, clock, log, new(kept, Ports));

    internal VchanDirectory Directory => _directory;

    internal AgentLimits Limits => _limits;

    internal TimeProvider Clock => _clock;

    internal uint Domain => _domain;

    internal LinkPorts Ports { get; } = new();

    /// <summary>The version spoken with the agent, 0 while there is none, and how many data channels are taken.</summary>
    public (int Version, int DataChannels) State => (_output is null ? 0 : Volatile.Read(ref _version), Ports.Taken().Length);

    /// <summary>Serves until the token ends, then waits for the calls under way.</summary>
    public async Task RunAsync(CancellationToken stopping)
    {
        _stopping = stopping;
        while (!stopping.IsCancellationRequested)
        {
            try
            {
                await using var stream = _kept.Take(out var left) ?? _kept.Keep(await _directory.DialAsync(_domain, DataPorts.Control, stopping));
                await ServeAsync(stream, left, stopping);
            }
            catch (QrexecProtocolException error)
            {
                Log.Broken(_log, _name, error.Message);
            }
            catch (Exception error) when (error is IOException or TimeoutException or OperationCanceledException or SocketException or ObjectDisposedException)
            {
                Log.ChannelLost(_log, _name, error.Message);
            }
            catch (Exception error)
            {
                Log.ChannelFailed(_log, _name, error);
            }
            if (stopping.IsCancellationRequested)
            {
                break;
            }
            Lost();
            await Task.WhenAny(Task.Delay(_limits.Pause, _clock, stopping));
        }
        await Task.WhenAll(Serving());
    }

    /// <summary>Waits for an agent that has said HELLO.</summary>
    public Task GreetedAsync(CancellationToken cancellation)
    {
        lock (_gate)
        {
            return _greeted.Task.WaitAsync(cancellation);
        }
    }

    /// <summary>
    /// A command for the agent that is there now; dispose it. <paramref name="isJustStarted"/>: its exit code is 0, and comes at once. ERRORS: MgmtBusyError when there is no port for it;
    /// ProtocolError for a command that no agent can read.
    /// </summary>
    public VchanCommand Open(string command, bool isJustStarted)
    {
        VchanCommand.Check(command);
        return Ports.Take(isCommand: true) is { } use
            ? new VchanCommand(this, use, isJustStarted ? MessageType.JustExec : MessageType.ExecCommandLine, command)
            : throw new MgmtException(ErrorCode.MgmtBusyError, "%s has no data channel for another command", _name);
    }

    void IControlEvents.Greeted(int version) => _version = version;

    void IControlEvents.Called(TriggerService request) => _called.Enqueue(request);

    void IControlEvents.Terminated(uint domain, uint port)
    {
        if (domain == 0)
        {
            Ports.Terminated(port);
        }
    }

    /// <summary>
    /// Tells the guest, unless its agent is another one by now. Whoever asked may go meanwhile: a message that is given up half-way would take the channel from all.
    /// </summary>
    internal async ValueTask<bool> SendAsync(ReadOnlyMemory<byte> message, long connection, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        _kept.WriteDown();
        return _output is { } output && await output.WriteAsync(message, () => connection == Ports.Connection, CancellationToken.None);
    }

    /// <summary>
    /// The answer to a call. That it was given is written down first: who is killed in between leaves one caller without an answer, and does not answer another one's call of the same ident.
    /// </summary>
    internal ValueTask<bool> AnswerAsync(CallIdent ident, ReadOnlyMemory<byte> answer, long connection, CancellationToken cancellation)
    {
        _kept.Answers(ident);
        return SendAsync(answer, connection, cancellation);
    }

    /// <summary>Something of a command that outlives it, and not the link.</summary>
    internal void Follow(Func<CancellationToken, Task> rest)
    {
        lock (_gate)
        {
            _serving.Add(Task.Run(() => rest(_stopping), CancellationToken.None));
        }
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private void Lost()
    {
        _output = null;
        Ports.ConnectionEnded();
        _kept.Forget();
        lock (_gate)
        {
            _greeted = _greeted.Task.IsCompleted ? NewSignal() : _greeted;
        }
    }

    private Task[] Serving()
    {
        lock (_gate)
        {
            _serving.RemoveWhere(task => task.IsCompleted);
            return [.. _serving];
        }
    }

    private async Task ServeAsync(Stream stream, LinkState? left, CancellationToken stopping)
    {
        var output = new PortOutput(stream, _limits.Write, _clock);
        _called.Clear();
        var block = new byte[8192];
        var control = left is null ? await GreetAsync(stream, output, block, stopping) : new ControlProtocol(this, _version = left.Version, left.Unfinished.Span);
        _output = output;
        Ports.Restore(left?.Ports ?? []);
        lock (_gate)
        {
            _greeted.TrySetResult();
        }
        foreach (var ident in left?.Unanswered ?? [])
        {
            var refusal = new ArrayBufferWriter<byte>(64);
            ExecParameters.WriteRefused(refusal, ident);
            await AnswerAsync(ident, refusal.WrittenMemory, Ports.Connection, stopping);
        }
        while (true)
        {
            await BeginAsync(control, stopping);
            control.Feed((await ReadAsync(stream, block, stopping)).Span);
        }
    }

    private async Task<ControlProtocol> GreetAsync(Stream stream, PortOutput output, byte[] block, CancellationToken stopping)
    {
        var control = new ControlProtocol(this);
        _version = 0;
        using var silent = new CancellationTokenSource(_limits.Hello, _clock);
        using var first = CancellationTokenSource.CreateLinkedTokenSource(silent.Token, stopping);
        while (_version == 0)
        {
            control.Feed((await ReadAsync(stream, block, first.Token)).Span);
        }
        // Its number, then ours: both orders are right, and this one tells nothing to a stranger.
        var hello = new ArrayBufferWriter<byte>();
        new Hello(Hello.Newest).Write(hello);
        await output.WriteAsync(hello.WrittenMemory, () => true, stopping);
        return control;
    }

    private async ValueTask BeginAsync(ControlProtocol control, CancellationToken stopping)
    {
        _kept.Heard(_version, _called, control.Unfinished());
        while (_called.TryDequeue(out var request))
        {
            while (Serving() is { } serving && serving.Length >= _limits.Calls)
            {
                // It calls faster than it takes its answers.
                await Task.WhenAny(serving).WaitAsync(stopping);
            }
            await _handler.Pace.WaitAsync(stopping);
            if (request.Ident is null)
            {
                // An answer would have to name it.
                _handler.Pace.Refused();
                Log.Broken(_log, _name, "a call without an ident");
                continue;
            }
            var call = new VchanCall(this, request, Ports.Connection);
            Follow(token => ServeAsync(call, token));
        }
    }

    private async Task ServeAsync(VchanCall call, CancellationToken stopping)
    {
        try
        {
            await _handler.ServeAsync(call, stopping);
        }
        catch (Exception error)
        {
            Log.ChannelFailed(_log, _name, error);
        }
        finally
        {
            await call.DisposeAsync();
        }
    }

    private static async ValueTask<ReadOnlyMemory<byte>> ReadAsync(Stream stream, byte[] block, CancellationToken cancellation)
    {
        var read = await stream.ReadAsync(block, cancellation);
        return read > 0 ? block.AsMemory(0, read) : throw new IOException("the agent closed it");
    }
}
