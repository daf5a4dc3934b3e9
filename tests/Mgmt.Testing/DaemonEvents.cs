using System.Buffers;
using System.Net.Sockets;
using System.Text;
using Mgmt.Core;
using Mgmt.Wire;

namespace Mgmt.Testing;

/// <summary>An event stream of a real daemon. Every wait has a deadline.</summary>
public sealed class DaemonEvents : IAsyncDisposable
{
    private readonly Socket _socket;
    private readonly byte[] _buffer = new byte[64 * 1024];
    private ReadOnlySequence<byte> _unread = ReadOnlySequence<byte>.Empty;

    private DaemonEvents(Socket socket) => _socket = socket;

    /// <summary>The events that came so far, the first included.</summary>
    public List<MgmtEvent> Seen { get; } = [];

    /// <summary>The cursor of the last event that came.</summary>
    public string? Cursor => Seen[^1]["cursor"];

    /// <summary>The next event; null at the end of the stream. ERRORS: TimeoutException, ProtocolError.</summary>
    public async Task<MgmtEvent?> ReadAsync()
    {
        using var limit = new CancellationTokenSource(DaemonProcess.Deadline);
        return await ReadAsync(limit.Token);
    }

    /// <summary>The next event whose name is the one given, or begins with it where it ends in <c>*</c>; others are passed over.</summary>
    public async Task<MgmtEvent> NextAsync(string name)
    {
        using var limit = new CancellationTokenSource(DaemonProcess.Deadline);
        while (await ReadAsync(limit.Token) is { } happened)
        {
            if (name[^1] == '*' ? happened.Name.StartsWith(name[..^1], StringComparison.Ordinal) : happened.Name == name)
            {
                return happened;
            }
        }
        throw new IOException($"the stream ended before {name}; it had {string.Join(' ', Seen.Select(e => e.Name))}");
    }

    /// <summary>Events up to and including the first that the test is true for; connection-established is left out.</summary>
    public Task<List<MgmtEvent>> UntilAsync(Func<MgmtEvent, bool> isLast) => UntilAsync(isLast, DaemonProcess.Deadline);

    /// <summary>The same, for what takes longer: a guest that boots, or works.</summary>
    public async Task<List<MgmtEvent>> UntilAsync(Func<MgmtEvent, bool> isLast, TimeSpan deadline)
    {
        using var limit = new CancellationTokenSource(deadline);
        var events = new List<MgmtEvent>();
        while (await ReadAsync(limit.Token) is { } happened)
        {
            events.Add(happened);
            if (isLast(happened))
            {
                return events;
            }
        }
        throw new IOException($"the stream ended too early; it had {string.Join(' ', Seen.Select(e => e.Name))}");
    }

    /// <summary>The names of the events up to and including the one named.</summary>
    public async Task<List<string>> NamesUntilAsync(string last) => [.. (await UntilAsync(e => e.Name == last)).Select(e => e.Name)];

    /// <summary>Everything up to the end of the stream.</summary>
    public async Task<List<MgmtEvent>> ToEndAsync()
    {
        using var limit = new CancellationTokenSource(DaemonProcess.Deadline);
        var events = new List<MgmtEvent>();
        while (await ReadAsync(limit.Token) is { } happened)
        {
            events.Add(happened);
        }
        return events;
    }

    /// <summary>Goes away.</summary>
    public ValueTask DisposeAsync()
    {
        _socket.Dispose();
        return ValueTask.CompletedTask;
    }

    internal static async Task<DaemonEvents> OpenAsync(DaemonProcess daemon, string request)
    {
        var socket = await daemon.ConnectAsync();
        await socket.SendAsync(Encoding.Latin1.GetBytes(request), SocketFlags.None, CancellationToken.None);
        socket.Shutdown(SocketShutdown.Send);
        var events = new DaemonEvents(socket);
        var first = await events.ReadAsync();
        return first?.Name == "connection-established" ? events : throw new IOException($"the stream began with {first?.Name ?? "nothing"}");
    }

    // Bookmarks come for ever: a wait for several events has one deadline, not one for each.
    private async Task<MgmtEvent?> ReadAsync(CancellationToken cancellation)
    {
        MgmtEvent? happened;
        while (!EventReader.TryRead(ref _unread, out happened))
        {
            if (!await FillAsync(cancellation))
            {
                return null;
            }
        }
        Seen.Add(happened);
        return happened;
    }

    private async Task<bool> FillAsync(CancellationToken cancellation)
    {
        try
        {
            var read = await _socket.ReceiveAsync(_buffer, SocketFlags.None, cancellation);
            // Short texts: copying what is left is cheap.
            _unread = new ReadOnlySequence<byte>([.. _unread.ToArray(), .. _buffer.AsSpan(0, read)]);
            return read > 0;
        }
        catch (SocketException)
        {
            return false;
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"no event came; there were {string.Join(' ', Seen.Select(e => e.Name))}");
        }
    }
}
