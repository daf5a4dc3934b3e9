using System.Buffers;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace Mgmt.Qrexec;

/// <summary>
/// What qrexec-daemon is on Xen, for one guest: dials its agent's control channel, takes its calls, gives each a data channel. An agent that ends is dialled again.
/// SOURCE: qrexec protocol, versions 2 to 4.
/// </summary>
public sealed class AgentLink : IControlEvents
{
    private readonly uint _domain;
    private readonly string _name;
    private readonly IGuestDialer _dialer;
    private readonly IGuestCallHandler _handler;
    private readonly AgentLimits _limits;
    private readonly TimeProvider _clock;
    private readonly ILogger _log;
    private readonly Lock _gate = new();
    // Under the gate. Ports outlive the control channel: a data channel may.
    private readonly DataPorts _ports = new();
    private readonly Queue<TriggerService> _called = new();
    private readonly HashSet<Task> _serving = [];
    private PortOutput? _output;
    private int _version;
    private long _connection;

    /// <summary>The guest of that domain number, called <paramref name="name"/> in logs.</summary>
    public AgentLink(uint domain, string name, IGuestDialer dialer, IGuestCallHandler handler, AgentLimits limits, TimeProvider clock, ILogger log) =>
        (_domain, _name, _dialer, _handler, _limits, _clock, _log) = (domain, name, dialer, handler, limits, clock, log);

    internal IGuestDialer Dialer => _dialer;

    internal AgentLimits Limits => _limits;

    internal TimeProvider Clock => _clock;

    internal uint Domain => _domain;

    /// <summary>Which connection to the agent this is: what an earlier one was asked is not answered to a later one.</summary>
    internal long Connection => Interlocked.Read(ref _connection);

    /// <summary>The version spoken with the agent, 0 while there is none, and how many data channels are taken.</summary>
    public (int Version, int DataChannels) State
    {
        get
        {
            lock (_gate)
            {
                return (Volatile.Read(ref _version), _ports.Taken);
            }
        }
    }

    /// <summary>Serves until the token ends, then waits for the calls under way.</summary>
    public async Task RunAsync(CancellationToken stopping)
    {
        while (!stopping.IsCancellationRequested)
        {
            try
            {
                await using var stream = await _dialer.DialAsync(_domain, DataPorts.Control, stopping);
                await ServeAsync(stream, stopping);
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
            Interlocked.Increment(ref _connection);
            Volatile.Write(ref _version, 0);
            await Task.WhenAny(Task.Delay(_limits.Pause, _clock, stopping));
        }
        await Task.WhenAll(_serving);
    }

    void IControlEvents.Greeted(int version) => _version = version;

    void IControlEvents.Called(TriggerService request) => _called.Enqueue(request);

    void IControlEvents.Terminated(uint domain, uint port)
    {
        if (domain == 0)
        {
            Release(port);
        }
    }

    /// <summary>Tells the guest, unless its agent is another one by now.</summary>
    internal async ValueTask<bool> SendAsync(ReadOnlyMemory<byte> message, long connection, CancellationToken cancellation) =>
        _output is { } output && await output.WriteAsync(message, () => connection == Connection, cancellation);

    /// <summary>A port for a call; null when all are taken.</summary>
    internal uint? TakePort()
    {
        lock (_gate)
        {
            return _ports.Take();
        }
    }

    internal void Release(uint port)
    {
        lock (_gate)
        {
            _ports.Release(port);
        }
    }

    private async Task ServeAsync(Stream stream, CancellationToken stopping)
    {
        var control = new ControlProtocol(this);
        _version = 0;
        _called.Clear();
        _output = new PortOutput(stream, _limits.Write, _clock);
        var block = new byte[8192];
        using var silent = new CancellationTokenSource(_limits.Hello, _clock);
        using var first = CancellationTokenSource.CreateLinkedTokenSource(silent.Token, stopping);
        while (_version == 0)
        {
            control.Feed((await ReadAsync(stream, block, first.Token)).Span);
        }
        // Its number, then ours: both orders are right, and this one tells nothing to a stranger.
        var hello = new ArrayBufferWriter<byte>();
        new Hello(Hello.Newest).Write(hello);
        await _output.WriteAsync(hello.WrittenMemory, () => true, stopping);
        while (true)
        {
            await BeginAsync(stopping);
            control.Feed((await ReadAsync(stream, block, stopping)).Span);
        }
    }

    private async ValueTask BeginAsync(CancellationToken stopping)
    {
        while (_called.TryDequeue(out var request))
        {
            _serving.RemoveWhere(task => task.IsCompleted);
            while (_serving.Count >= _limits.Calls)
            {
                // It calls faster than it takes its answers.
                _serving.Remove(await Task.WhenAny(_serving).WaitAsync(stopping));
            }
            if (request.Ident is null)
            {
                // An answer would have to name it.
                Log.Broken(_log, _name, "a call without an ident");
                continue;
            }
            var call = new VchanCall(this, request, Connection);
            _serving.Add(Task.Run(() => ServeAsync(call, stopping), CancellationToken.None));
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
