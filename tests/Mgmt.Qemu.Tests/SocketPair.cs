using System.Net.Sockets;
using System.Text;

namespace Mgmt.Qemu.Tests;

/// <summary>Two ends of a Unix socket: ours for the code under test, and a peer that the test scripts by hand.</summary>
internal sealed class SocketPair : IDisposable
{
    private readonly StringBuilder _heard = new();

    public SocketPair()
    {
        var path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen(1);
        var ours = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        ours.Connect(new UnixDomainSocketEndPoint(path));
        Peer = listener.Accept();
        Ours = new NetworkStream(ours, ownsSocket: true);
    }

    public NetworkStream Ours { get; }

    public Socket Peer { get; }

    public Task SayAsync(string text, CancellationToken cancellation) => SayAsync(Encoding.Latin1.GetBytes(text), cancellation);

    public async Task SayAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[await Peer.SendAsync(bytes, cancellation)..];
        }
    }

    /// <summary>The next line that came from the code under test; its bytes as characters.</summary>
    public async Task<string> HearAsync(CancellationToken cancellation)
    {
        var buffer = new byte[4096];
        int end;
        while ((end = _heard.ToString().IndexOf('\n')) < 0)
        {
            var read = await Peer.ReceiveAsync(buffer, cancellation);
            if (read == 0)
            {
                throw new EndOfStreamException();
            }
            _heard.Append(Encoding.Latin1.GetString(buffer, 0, read));
        }
        var line = _heard.ToString(0, end);
        _heard.Remove(0, end + 1);
        return line;
    }

    public void Dispose()
    {
        Ours.Dispose();
        Peer.Dispose();
    }
}
