using System.Net.Sockets;

namespace Mgmt.Qrexec.Tests;

/// <summary>A guest's ends of vchan sockets, as an unmodified agent and client make them: a server each, one connection ever, the file stays.</summary>
internal sealed class VchanGuest : IDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);
    private readonly List<Socket> _sockets = [];

    internal string Path { get; } = Directory.CreateTempSubdirectory("vch-").FullName;

    /// <summary>Listens, as libvchan_server_init does.</summary>
    internal Server Listen(uint domain, uint port)
    {
        var path = System.IO.Path.Combine(Path, $"vchan.{domain}.0.{port}.sock");
        File.Delete(path);
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        _sockets.Add(listener);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen(1);
        return new(this, listener);
    }

    /// <summary>Connects to a server of the host's, as libvchan_client_init does.</summary>
    internal async Task<Stream> ConnectAsync(uint domain, uint port)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        _sockets.Add(socket);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(PathOf(domain, port)));
        return new Stream(socket);
    }

    /// <summary>Where the host is the server.</summary>
    internal string PathOf(uint domain, uint port) => System.IO.Path.Combine(Path, $"vchan.0.{domain}.{port}.sock");

    public void Dispose()
    {
        _sockets.ForEach(socket => socket.Dispose());
        Directory.Delete(Path, recursive: true);
    }

    internal sealed class Server(VchanGuest guest, Socket listener)
    {
        internal async Task<Stream> AcceptAsync()
        {
            using var limit = new CancellationTokenSource(Deadline);
            var socket = await listener.AcceptAsync(limit.Token);
            guest._sockets.Add(socket);
            return new Stream(socket);
        }
    }

    internal sealed class Stream(Socket socket)
    {
        internal async Task SayAsync(params byte[][] parts)
        {
            using var limit = new CancellationTokenSource(Deadline);
            await socket.SendAsync(parts.SelectMany(part => part).ToArray(), limit.Token);
        }

        /// <summary>Sends the same again and again until nothing is taken any more for the moment: how many bytes were.</summary>
        internal async Task<int> FillAsync(byte[] block, int atMost)
        {
            var sent = 0;
            while (sent < atMost)
            {
                using var quiet = new CancellationTokenSource(TimeSpan.FromMilliseconds(500));
                try
                {
                    sent += await socket.SendAsync(block.AsMemory(sent % block.Length), quiet.Token);
                }
                catch (OperationCanceledException)
                {
                    break;
                }
            }
            return sent;
        }

        internal async Task HearAsync(string hex)
        {
            var expected = Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal));
            using var limit = new CancellationTokenSource(Deadline);
            var heard = new byte[expected.Length];
            for (var filled = 0; filled < heard.Length;)
            {
                var read = await socket.ReceiveAsync(heard.AsMemory(filled), limit.Token);
                Assert.That(read, Is.Positive, "the channel ended");
                filled += read;
            }
            Assert.That(Convert.ToHexString(heard), Is.EqualTo(Convert.ToHexString(expected)));
        }

        /// <summary>Nothing more, and then the end.</summary>
        internal async Task EndAsync()
        {
            using var limit = new CancellationTokenSource(Deadline);
            Assert.That(await socket.ReceiveAsync(new byte[16], limit.Token), Is.Zero);
        }

        internal void Close() => socket.Dispose();
    }
}
