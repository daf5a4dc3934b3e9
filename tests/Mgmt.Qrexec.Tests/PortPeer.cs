using System.Buffers;
using System.Net.Sockets;

namespace Mgmt.Qrexec.Tests;

/// <summary>The other end of a port, scripted by hand: what QEMU would hold, and each connection to it.</summary>
internal sealed class PortPeer : IDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);
    private readonly string _path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private Socket? _connection;

    internal PortPeer()
    {
        _listener.Bind(new UnixDomainSocketEndPoint(_path));
        _listener.Listen(4);
    }

    internal static byte[] Call { get; } = [.. Preamble(new PortNonce(7)), .. Messages.Hello(4), .. Messages.Of(MessageType.TriggerService4, Messages.Trigger4("", "dom0", "SOCKET1", "mgmt.vm.List"))];

    internal static byte[] Greeting { get; } = [.. Preamble(new PortNonce(7)), .. Messages.Hello(4)];

    internal Socket Connection => _connection!;

    internal static byte[] Preamble(PortNonce nonce) => Messages.Written(output => DataWriter.WritePreamble(output, nonce));

    /// <summary>What the code under test connects with.</summary>
    internal async Task<Stream> ConnectAsync(CancellationToken cancellation)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(_path), cancellation);
        return new NetworkStream(socket, ownsSocket: true);
    }

    /// <summary>Takes the next connection, and the announcement that it begins with.</summary>
    internal async Task AcceptAsync()
    {
        await AcceptRawAsync();
        await HearAsync(Preamble(PortNonce.None));
    }

    /// <summary>Takes the next connection.</summary>
    internal async Task AcceptRawAsync()
    {
        using var limit = new CancellationTokenSource(Deadline);
        _connection?.Dispose();
        _connection = await _listener.AcceptAsync(limit.Token);
    }

    internal async Task SayAsync(params byte[][] parts)
    {
        using var limit = new CancellationTokenSource(Deadline);
        ReadOnlyMemory<byte> bytes = parts.SelectMany(part => part).ToArray();
        while (!bytes.IsEmpty)
        {
            bytes = bytes[await Connection.SendAsync(bytes, limit.Token)..];
        }
    }

    /// <summary>The next bytes have to be these.</summary>
    internal async Task HearAsync(params byte[][] parts)
    {
        byte[] expected = [.. parts.SelectMany(part => part)];
        var heard = new byte[expected.Length];
        await ReadAsync(heard);
        Assert.That(Convert.ToHexString(heard), Is.EqualTo(Convert.ToHexString(expected)));
    }

    /// <summary>The next bytes, whatever they are.</summary>
    internal async Task ReadAsync(byte[] heard)
    {
        using var limit = new CancellationTokenSource(Deadline);
        for (var filled = 0; filled < heard.Length;)
        {
            var read = await Connection.ReceiveAsync(heard.AsMemory(filled), limit.Token);
            Assert.That(read, Is.Positive, "the connection ended");
            filled += read;
        }
    }

    /// <summary>Reads until the other end closes.</summary>
    internal async Task EndAsync()
    {
        using var limit = new CancellationTokenSource(Deadline);
        var buffer = new byte[64 * 1024];
        try
        {
            while (await Connection.ReceiveAsync(buffer, limit.Token) > 0)
            {
                // Whatever it still had to say.
            }
        }
        catch (SocketException)
        {
            // Closed with bytes of ours unread.
        }
    }

    /// <summary>Sends until nothing is taken any more for the moment: how much was.</summary>
    internal async Task<int> FillAsync(byte[] block, int atMost)
    {
        var sent = 0;
        while (sent < atMost)
        {
            using var quiet = new CancellationTokenSource(TimeSpan.FromMilliseconds(500));
            try
            {
                sent += await Connection.SendAsync(block, quiet.Token);
            }
            catch (OperationCanceledException)
            {
                break;
            }
        }
        return sent;
    }

    public void Dispose()
    {
        _connection?.Dispose();
        _listener.Dispose();
        File.Delete(_path);
    }
}
