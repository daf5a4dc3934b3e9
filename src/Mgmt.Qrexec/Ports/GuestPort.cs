using System.Buffers;
using System.Net.Sockets;
using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Qrexec;

/// <summary>
/// Serves one port of a guest: one call at a time, one loop that reads. A guest that is not read, because its call does not take its input or because it floods, waits;
/// nobody else does. SOURCE: docs/guest-channels.md.
/// </summary>
public sealed class GuestPort : IPortEvents
{
    private const int BlockBytes = 64 * 1024;
    private static readonly TimeSpan ShortestPause = TimeSpan.FromMilliseconds(100);

    private readonly string _name;
    private readonly string _transport;
    private readonly Func<CancellationToken, Task<Stream>> _connect;
    private readonly IGuestCallHandler _handler;
    private readonly PortLimits _limits;
    private readonly TimeProvider _clock;
    private readonly ILogger _log;
    private readonly HashSet<Task> _serving = [];
    // The loop's own, but for _current, of which others end the call.
    private PortOutput? _output;
    private volatile PortCall? _current;
    private volatile bool _isConnected;
    private long _generation;
    private long _unwanted;

    /// <summary>The port called <paramref name="name"/> in logs, reached by <paramref name="connect"/>.</summary>
    public GuestPort(string name, Func<CancellationToken, Task<Stream>> connect, IGuestCallHandler handler, PortLimits limits, TimeProvider clock, ILogger log)
        : this(name, "virtio-serial", handler, limits, clock, log) => _connect = connect;

    /// <summary>One for connections that are accepted; calls on it came by <paramref name="transport"/>.</summary>
    internal GuestPort(string name, string transport, IGuestCallHandler handler, PortLimits limits, TimeProvider clock, ILogger log)
    {
        (_name, _transport, _handler, _limits, _clock, _log) = (name, transport, handler, limits, clock, log);
        _connect = _ => throw new InvalidOperationException("it does not connect by itself");
    }

    /// <summary>A new connection held input already; whoever sent it may have closed the port since, unheard.</summary>
    internal event Action? FoundInput;
    /// <summary>Whether the host is connected to it.</summary>
    public bool IsConnected => _isConnected;

    /// <summary>The call that has it now; null for none.</summary>
    public GuestCall? Call => _current is { IsCalled: true, IsOver: false } call ? call : null;

    /// <summary>Which open of the port this is; see <see cref="Closed"/>.</summary>
    public long Generation => Interlocked.Read(ref _generation);

    /// <summary>
    /// The guest has closed the port: ends the call, unless the port was opened again since <paramref name="generation"/> was read, which is before it was asked.
    /// </summary>
    public void Closed(long generation)
    {
        if (_current is { } call && call.Generation == generation)
        {
            call.End();
        }
    }

    /// <summary>Whether somebody in the guest has it, as far as its stream says.</summary>
    internal bool IsTaken => _current is { IsOver: false };

    /// <summary>
    /// Whether it has a call that began before that time, at which the guest opened or closed the port: whoever had it then has it no more. The stream would tell too, but who reads it waits until
    /// that call takes its input.
    /// </summary>
    internal bool IsOlderThan(DateTimeOffset change) => _current is { IsOver: false } call && call.Began < change;

    /// <summary>Serves a connection that was accepted, until it ends or the token does, and waits for its calls. Never throws.</summary>
    public async Task ServeOnceAsync(Stream stream, CancellationToken stopping)
    {
        await TryServeAsync(() => Task.FromResult(stream), stopping);
        await Task.WhenAll(_serving);
    }

    /// <summary>Serves until the token ends, then waits for the calls under way. Connects again when the connection is lost.</summary>
    public async Task RunAsync(CancellationToken stopping)
    {
        var pause = ShortestPause;
        while (!stopping.IsCancellationRequested)
        {
            var wasConnected = await TryServeAsync(() => _connect(stopping), stopping);
            // Writers of the connection that is gone are woken by the end of their call; the next connection has none.
            await Task.WhenAll(_serving);
            _serving.Clear();
            pause = wasConnected ? ShortestPause : pause * 2 < _limits.LongestPause ? pause * 2 : _limits.LongestPause;
            await PauseAsync(pause, stopping);
        }
    }

    void IPortEvents.Marked()
    {
        Interlocked.Increment(ref _generation);
        _unwanted = 0;
        _current?.End();
        _current = null;
    }

    void IPortEvents.Opened(PortNonce nonce) => _current = new PortCall(_output!, _transport, nonce, Generation, _clock.GetUtcNow(), _limits);

    void IPortEvents.Called(TriggerService request)
    {
        if (_current is { } call)
        {
            call.Call(request);
            // Without an ident there is no answer that it would take for its own.
            call.Breach = request.Ident is null ? "a call without an ident" : null;
        }
    }

    void IPortEvents.Input(ReadOnlySpan<byte> bytes)
    {
        if (_current is { IsOver: false } call)
        {
            call.Take(bytes);
        }
        else
        {
            _unwanted += bytes.Length;
        }
    }

    void IPortEvents.InputEnded()
    {
        if (_current is { IsOver: false } call)
        {
            call.TakeEnd();
        }
    }

    void IPortEvents.Broken(string reason)
    {
        if (_current is { IsOver: false } call)
        {
            call.Breach = reason;
        }
    }

    /// <summary>Whether it was connected at all.</summary>
    private async Task<bool> TryServeAsync(Func<Task<Stream>> connect, CancellationToken stopping)
    {
        var isConnected = false;
        try
        {
            await using var stream = await connect();
            _isConnected = isConnected = true;
            await ServeAsync(stream, new PortOutput(stream, _limits.WriteDeadline, _clock), stopping);
        }
        catch (Exception error) when (error is IOException or TimeoutException or OperationCanceledException or ObjectDisposedException or MgmtException or SocketException)
        {
            Log.ChannelLost(_log, _name, error.Message);
        }
        catch (Exception error)
        {
            Log.ChannelFailed(_log, _name, error);
        }
        _isConnected = false;
        _current?.End();
        return isConnected;
    }

    private async Task ServeAsync(Stream stream, PortOutput output, CancellationToken stopping)
    {
        _output = output;
        _current = null;
        var protocol = new PortProtocol(this);
        if (stream is NetworkStream { DataAvailable: true })
        {
            // A connection that was kept while there was no daemon: a caller who waits in it already is answered, and must not be told to ask again.
            await TakeAsync(stream, protocol, stopping);
            FoundInput?.Invoke();
        }
        if (_current is null)
        {
            await output.WriteAsync(Bytes(to => DataWriter.WritePreamble(to, PortNonce.None)), () => true, stopping);
        }
        while (true)
        {
            await AttendAsync(output, stopping);
            await SlowDownAsync(protocol, stopping);
            await ReadableAsync(stream, stopping);
            await TakeAsync(stream, protocol, stopping);
        }
    }

    private static async ValueTask TakeAsync(Stream stream, PortProtocol protocol, CancellationToken stopping)
    {
        var block = ArrayPool<byte>.Shared.Rent(BlockBytes);
        try
        {
            var read = await stream.ReadAsync(block, stopping);
            protocol.Feed(read > 0 ? block.AsSpan(0, read) : throw new IOException("the VM's process closed it"));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(block);
        }
    }

    /// <summary>What the last block asks for: a greeting, a call to be begun, input to be taken, a breach to be told.</summary>
    private async ValueTask AttendAsync(PortOutput output, CancellationToken stopping)
    {
        if (_current is not { } call)
        {
            return;
        }
        if (!call.WasGreeted)
        {
            call.WasGreeted = true;
            await output.WriteAsync(Bytes(to =>
            {
                DataWriter.WritePreamble(to, call.Nonce);
                new Hello(Hello.Newest).Write(to);
            }), () => true, stopping);
        }
        if (call.IsCalled && !call.WasBegun && call.Breach is null)
        {
            call.WasBegun = true;
            await _handler.Pace.WaitAsync(stopping);
            _serving.RemoveWhere(task => task.IsCompleted);
            _serving.Add(Task.Run(() => ServeAsync(call, stopping), CancellationToken.None));
        }
        await call.FlushAsync(stopping);
        if (call.Breach is { } breach)
        {
            call.Breach = null;
            _handler.Pace.Refused();
            Log.Broken(_log, _name, breach);
            call.End();
            await output.WriteAsync(Bytes(to => DataWriter.WriteExitCode(to, ExitCodes.Failed)), () => true, stopping);
            await _handler.Pace.WaitAsync(stopping);
        }
    }

    private async Task ServeAsync(PortCall call, CancellationToken stopping)
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
            call.Close();
        }
    }

    /// <summary>A guest that sends what belongs to no call is read slowly.</summary>
    private async ValueTask SlowDownAsync(PortProtocol protocol, CancellationToken stopping)
    {
        if (protocol.SkippedBytes + _unwanted is var skipped && skipped > _limits.SkippedBytes)
        {
            Log.Flooded(_log, _name, skipped);
            protocol.ForgetSkipped();
            _unwanted = 0;
            await Task.Delay(_limits.Penalty, _clock, stopping);
        }
    }

    private async Task PauseAsync(TimeSpan pause, CancellationToken stopping)
    {
        try
        {
            await Task.Delay(pause, _clock, stopping);
        }
        catch (OperationCanceledException)
        {
            // Stopping.
        }
    }

    /// <summary>An idle port waits without memory of its own.</summary>
    private static ValueTask<int> ReadableAsync(Stream stream, CancellationToken stopping) => stream.ReadAsync(Memory<byte>.Empty, stopping);

    private static ReadOnlyMemory<byte> Bytes(Action<ArrayBufferWriter<byte>> write)
    {
        var output = new ArrayBufferWriter<byte>(64);
        write(output);
        return output.WrittenMemory;
    }
}
