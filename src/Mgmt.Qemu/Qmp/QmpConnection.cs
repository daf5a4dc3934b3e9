using System.Net.Sockets;
using System.Text.Json;
using System.Threading.Channels;
using Mgmt.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Qemu;

/// <summary>
/// QEMU's monitor: one reader loop that matches replies by id, one writer with a bounded queue, events through a bounded channel.
/// A line that is no JSON, too long, too deep or too rich closes the connection; whoever waits gets MgmtUnavailableError.
/// SOURCE: QEMU's docs/interop/qmp-spec. Grammar of what comes in, a line each:
/// <code>
/// {"QMP": {"version": …, "capabilities": […]}}            first, once
/// {"return": VALUE, "id": N}                               or
/// {"error": {"class": TEXT, "desc": TEXT}, "id": N}
/// {"event": TEXT, "data": {…}, "timestamp": {…}}           at any time, also before the reply of the command that caused it
/// </code>
/// </summary>
internal sealed partial class QmpConnection : IAsyncDisposable
{
    internal const int MaxLineBytes = 16 << 20;
    internal const int MaxTokens = 500_000;
    // At the bound: commands are refused with MgmtBusyError; of events the oldest is dropped and EventsLost counts it.
    internal const int MaxOutstanding = 64;
    internal const int EventCapacity = 1024;
    // The year 9999, as far as DateTimeOffset reaches.
    private const long MaxSeconds = 253_402_300_800;

    private readonly Stream _stream;
    private readonly LineReader _lines;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly CancellationTokenSource _stop = new();
    private readonly Channel<(byte[] Bytes, SafeFileHandle? File)> _outgoing = Channel.CreateBounded<(byte[], SafeFileHandle?)>(new BoundedChannelOptions(MaxOutstanding) { SingleReader = true });
    private readonly Channel<QmpEvent> _events;
    private readonly Lock _gate = new();
    private readonly Dictionary<long, (string Command, TaskCompletionSource<JsonElement> Reply)> _waiting = [];
    private long _lastId;
    private string? _closedBecause;
    private int _eventsLost;
    private Task _loops = Task.CompletedTask;

    private QmpConnection(Stream stream, TimeProvider time, ILogger log)
    {
        _stream = stream;
        _lines = new LineReader(stream, MaxLineBytes, sentinels: false);
        _time = time;
        _log = log;
        _events = Channel.CreateBounded<QmpEvent>(
            new BoundedChannelOptions(EventCapacity) { FullMode = BoundedChannelFullMode.DropOldest, SingleWriter = true },
            _ => Interlocked.Increment(ref _eventsLost));
    }

    /// <summary>Events in order; completed when the connection is closed.</summary>
    public ChannelReader<QmpEvent> Events => _events.Reader;

    /// <summary>How many events were dropped because nobody read them.</summary>
    public int EventsLost => Volatile.Read(ref _eventsLost);

    /// <summary>Connects to a socket and gets ready for commands, all within <paramref name="deadline"/>. ERRORS: MgmtUnavailableError, MgmtTimeoutError.</summary>
    public static async Task<QmpConnection> ConnectAsync(string path, TimeSpan deadline, TimeProvider time, ILogger log, CancellationToken cancellation)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new MgmtException(e, ErrorCode.MgmtUnavailableError, "QEMU's control socket cannot be reached: %s", e.SocketErrorCode.ToString());
        }
        catch
        {
            socket.Dispose();
            throw;
        }
        return await OpenAsync(new NetworkStream(socket, ownsSocket: true), deadline, time, log, cancellation);
    }

    /// <summary>Takes the greeting and negotiates capabilities. Owns <paramref name="stream"/>, also when it fails. ERRORS: MgmtUnavailableError, MgmtTimeoutError.</summary>
    public static async Task<QmpConnection> OpenAsync(Stream stream, TimeSpan deadline, TimeProvider time, ILogger log, CancellationToken cancellation)
    {
        var connection = new QmpConnection(stream, time, log);
        try
        {
            var began = time.GetTimestamp();
            await connection.GreetAsync(deadline, cancellation);
            connection._loops = Task.WhenAll(connection.ReadLoopAsync(), connection.WriteLoopAsync());
            var rest = deadline - time.GetElapsedTime(began);
            await connection.ExecuteAsync("qmp_capabilities", null, rest > TimeSpan.Zero ? rest : TimeSpan.FromMilliseconds(1), cancellation);
            return connection;
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    /// <summary>
    /// Runs a command and gives its <c>return</c>. ERRORS: MgmtTimeoutError (a late reply is ignored), MgmtUnavailableError (closed),
    /// MgmtBusyError (too many at once), MgmtUnsupportedError (unknown to this QEMU), QubesException (refused; field: QEMU's words).
    /// </summary>
    public Task<JsonElement> ExecuteAsync(string command, string? argumentsJson, TimeSpan deadline, CancellationToken cancellation) =>
        ExecuteAsync(command, argumentsJson, null, deadline, cancellation);

    private async Task<JsonElement> ExecuteAsync(string command, string? argumentsJson, SafeFileHandle? file, TimeSpan deadline, CancellationToken cancellation)
    {
        var reply = new TaskCompletionSource<JsonElement>(TaskCreationOptions.RunContinuationsAsynchronously);
        var id = Enlist(command, reply);
        try
        {
            if (!_outgoing.Writer.TryWrite((JsonCommand.Write(command, argumentsJson, id, null), file)))
            {
                ThrowIfClosed();
                throw Busy();
            }
            using var timer = new CancellationTokenSource(deadline, _time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellation);
            return Result(command, await reply.Task.WaitAsync(either.Token));
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new MgmtException(ErrorCode.MgmtTimeoutError, "QEMU did not answer %s in time", command);
        }
        finally
        {
            lock (_gate)
            {
                _waiting.Remove(id);
            }
        }
    }

    /// <summary>Closes the socket and waits for the loops.</summary>
    public async ValueTask DisposeAsync()
    {
        Close("closed by us");
        await _loops;
        _stop.Dispose();
    }

    private async Task GreetAsync(TimeSpan deadline, CancellationToken cancellation)
    {
        using var timer = new CancellationTokenSource(deadline, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellation);
        try
        {
            var line = await _lines.ReadAsync(either.Token);
            if (line.Kind != LineKind.Line)
            {
                throw Closed(line.Kind == LineKind.End ? "end of stream before the greeting" : "greeting too long");
            }
            var greeting = BoundedJson.Parse(line.Bytes.Span, MaxTokens);
            if (greeting.ValueKind != JsonValueKind.Object || !greeting.TryGetProperty("QMP", out _))
            {
                throw Closed("no greeting");
            }
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new MgmtException(ErrorCode.MgmtTimeoutError, "QEMU did not greet in time");
        }
        catch (Exception e) when (e is JsonException or IOException)
        {
            throw new MgmtException(e, ErrorCode.MgmtUnavailableError, "QEMU's control socket closed: %s", e is JsonException ? "the greeting is no JSON" : "read failed");
        }
    }

    private long Enlist(string command, TaskCompletionSource<JsonElement> reply)
    {
        lock (_gate)
        {
            if (_closedBecause is { } why)
            {
                throw Closed(why);
            }
            if (_waiting.Count >= MaxOutstanding)
            {
                throw Busy();
            }
            _waiting.Add(++_lastId, (command, reply));
            return _lastId;
        }
    }

    private void ThrowIfClosed()
    {
        lock (_gate)
        {
            if (_closedBecause is { } why)
            {
                throw Closed(why);
            }
        }
    }

    private async Task ReadLoopAsync()
    {
        var why = "read failed";
        try
        {
            while (true)
            {
                var line = await _lines.ReadAsync(_stop.Token);
                if (line.Kind != LineKind.Line)
                {
                    why = line.Kind == LineKind.End ? "end of stream" : "line too long";
                    return;
                }
                if (!line.Bytes.Span.Trim(" \r\t"u8).IsEmpty)
                {
                    Dispatch(BoundedJson.Parse(line.Bytes.Span, MaxTokens));
                }
            }
        }
        catch (JsonException e)
        {
            why = "not the protocol";
            Log.QmpNonsense(_log, e);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException)
        {
        }
        finally
        {
            Close(why);
        }
    }

    private void Dispatch(JsonElement message)
    {
        if (message.ValueKind != JsonValueKind.Object)
        {
            throw new JsonException("not an object");
        }
        if (message.Text("event") is { } name)
        {
            _events.Writer.TryWrite(new QmpEvent(name, message.TryGetProperty("data", out var data) ? data : default, Pending()) { At = Time(message) });
            return;
        }
        // A reply nobody waits for any more, or never did.
        if (!message.TryGetProperty("id", out var idValue) || idValue.ValueKind != JsonValueKind.Number || !idValue.TryGetInt64(out var id))
        {
            return;
        }
        (string Command, TaskCompletionSource<JsonElement> Reply) waiting;
        lock (_gate)
        {
            _waiting.Remove(id, out waiting);
        }
        waiting.Reply?.TrySetResult(message);
    }

    private string[] Pending()
    {
        lock (_gate)
        {
            return _waiting.Count == 0 ? [] : [.. _waiting.Values.Select(one => one.Command)];
        }
    }

    private async Task WriteLoopAsync()
    {
        try
        {
            await foreach (var (bytes, file) in _outgoing.Reader.ReadAllAsync(_stop.Token))
            {
                var sent = file is null ? 0 : SendWith(file, bytes);
                await _stream.WriteAsync(bytes.AsMemory(sent), _stop.Token);
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The reader still takes what QEMU said last, such as SHUTDOWN, and closes at the end of the stream.
        }
    }

    private void Close(string why)
    {
        List<TaskCompletionSource<JsonElement>> failed;
        lock (_gate)
        {
            if (_closedBecause is not null)
            {
                return;
            }
            _closedBecause = why;
            failed = [.. _waiting.Values.Select(one => one.Reply)];
            _waiting.Clear();
        }
        _outgoing.Writer.TryComplete();
        _events.Writer.TryComplete();
        _stop.Cancel();
        _stream.Dispose();
        foreach (var reply in failed)
        {
            reply.TrySetException(Closed(why));
        }
    }

    private static JsonElement Result(string command, JsonElement reply)
    {
        if (reply.TryGetProperty("return", out var value))
        {
            return value;
        }
        var error = reply.TryGetProperty("error", out var found) ? found : default;
        throw error.Text("class") == "CommandNotFound"
            ? new MgmtException(ErrorCode.MgmtUnsupportedError, "this QEMU has no command %s", command)
            : new MgmtException(ErrorCode.QubesException, "QEMU refused %s: %s", command, error.Text("desc") ?? "no reason given");
    }

    private static MgmtException Closed(string why) => new(ErrorCode.MgmtUnavailableError, "QEMU's control socket closed: %s", why);

    private static MgmtException Busy() => new(ErrorCode.MgmtBusyError, "too many commands at once for this VM");

    /// <summary>SHAPE: <c>{"timestamp": {"seconds": N, "microseconds": N}}</c>; -1 when QEMU could not read its clock.</summary>
    private static DateTimeOffset? Time(JsonElement message) =>
        message.TryGetProperty("timestamp", out var time) && time.ValueKind == JsonValueKind.Object
        && time.TryGetProperty("seconds", out var seconds) && seconds.ValueKind == JsonValueKind.Number && seconds.TryGetInt64(out var s) && s is >= 0 and < MaxSeconds
        && time.TryGetProperty("microseconds", out var micros) && micros.ValueKind == JsonValueKind.Number && micros.TryGetInt64(out var us) && us is >= 0 and < 1_000_000
            ? DateTimeOffset.FromUnixTimeSeconds(s).AddMicroseconds(us) : null;
}
