using System.Net.Sockets;
using Mgmt.Testing;

namespace Mgmt.Qrexec.Tests;

/// <summary>The real vsock socket, as far as a machine without vsock devices goes: nobody can connect to it here.</summary>
public sealed class VsockListenerTests
{
    private const uint Port = 40_512;
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);

    [Test]
    public async Task It_listens_until_it_is_disposed_and_nobody_else_does()
    {
        using var listener = Open();
        using var stop = new CancellationTokenSource();
        var accepting = listener.AcceptAsync(stop.Token);
        Assert.That(() => VsockListener.Open(Port), Throws.TypeOf<IOException>().With.Message.StartsWith($"vsock port {Port} cannot be listened on"));
        await stop.CancelAsync();
        Assert.That(async () => await accepting.WaitAsync(Deadline), Throws.InstanceOf<OperationCanceledException>());
        accepting = listener.AcceptAsync(CancellationToken.None);
        listener.Dispose();
        Assert.That(async () => await accepting.WaitAsync(Deadline), Throws.TypeOf<IOException>());
        Open().Dispose();
    }

    /// <summary>Netlink stands in for vsock: another family that .NET does not know. The kernel answers what it is asked.</summary>
    [Test]
    public async Task A_socket_of_a_family_that_dotnet_does_not_know_is_read_and_written()
    {
        const int Netlink = 16, Raw = 3;
        var fd = Libc.socket(Netlink, Raw | Libc.SOCK_CLOEXEC, 0);
        Assert.That(fd, Is.Not.Negative);
        await using var stream = new VsockStream(new Socket(new SafeSocketHandle(fd, ownsHandle: true)));
        // RTM_GETLINK, for all links.
        await stream.WriteAsync(Convert.FromHexString("14000000" + "1200" + "0103" + "07000000" + "00000000" + "00000000"));
        var answer = new byte[65536];
        using var limit = new CancellationTokenSource(Deadline);
        Assert.That(await stream.ReadAsync(Memory<byte>.Empty, limit.Token), Is.Zero);
        Assert.That(await stream.ReadAsync(answer, limit.Token), Is.GreaterThan(16));
        Assert.That(BitConverter.ToUInt32(answer, 8), Is.EqualTo(7), "the number of the question");
    }

    [Test]
    public async Task A_stream_carries_bytes_both_ways_and_its_end()
    {
        var path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        using var server = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        server.Bind(new UnixDomainSocketEndPoint(path));
        server.Listen(1);
        var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await client.ConnectAsync(new UnixDomainSocketEndPoint(path));
        File.Delete(path);
        using var peer = await server.AcceptAsync();
        await using (var stream = new VsockStream(client))
        {
            var big = new byte[1 << 20];
            var writing = stream.WriteAsync(big).AsTask();
            var read = 0;
            while (read < big.Length)
            {
                read += await peer.ReceiveAsync(new byte[65536]);
            }
            await writing.WaitAsync(Deadline);
            var waiting = stream.ReadAsync(Memory<byte>.Empty).AsTask();
            await peer.SendAsync(new byte[] { 7 });
            Assert.That(await waiting.WaitAsync(Deadline), Is.Zero);
            var one = new byte[2];
            Assert.That((await stream.ReadAsync(one), one[0]), Is.EqualTo((1, 7)));
        }
        Assert.That(await peer.ReceiveAsync(new byte[1]), Is.Zero);
    }

    private static VsockListener Open()
    {
        try
        {
            return VsockListener.Open(Port);
        }
        catch (IOException error) when (error.Message.StartsWith("no vsock socket can be made", StringComparison.Ordinal))
        {
            Requirement.Missing(error.Message);
            throw;
        }
    }
}
