using System.Buffers;
using System.Net.Sockets;
using System.Text;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>An agent of Qubes OS 4.3 on vchan sockets, scripted, and a real daemon: the bytes are those of the real one.</summary>
public sealed class VchanCallTests
{
    private const string Rules = """
        mgmt.vm.List * work @adminvm allow
        * * work @anyvm deny notify=no

        """;

    private string _directory = "";
    private readonly List<Socket> _sockets = [];
    private DaemonProcess? _daemon;

    private DaemonProcess Daemon => _daemon!;

    [SetUp]
    public async Task Start()
    {
        _directory = Directory.CreateTempSubdirectory("vch-").FullName;
        _daemon = await DaemonProcess.StartAsync(new()
        {
            Config = $$"""{ "vchan-dir": "{{_directory}}" }""", Policy = new Dictionary<string, string> { ["10-guest.policy"] = Rules },
        });
        await Daemon.OkAsync("mgmt.vm.Start", "work");
    }

    [TearDown]
    public async Task Stop()
    {
        _sockets.ForEach(socket => socket.Dispose());
        _sockets.Clear();
        if (_daemon is not null)
        {
            await _daemon.DisposeAsync();
        }
        Directory.Delete(_directory, recursive: true);
    }

    [Test]
    public async Task An_agent_of_qubes_lists_vms_and_is_refused_the_rest()
    {
        var qid = (await Daemon.OkAsync("mgmt.vm.property.Get", "work", "qid")).Split(' ')[^1];
        using var control = await AcceptAsync(Listen(qid, 512));
        await SayAsync(control, Hello);
        Assert.That(await HearAsync(control, 12), Is.EqualTo(Convert.ToHexString(Hello)));
        var (reply, code) = await CallAsync(control, qid, "mgmt.vm.List", 513);
        Assert.That(reply, Is.EqualTo("0\0" + await Daemon.OkAsync("mgmt.vm.List")));
        Assert.That(code, Is.Zero);
        (reply, code) = await CallAsync(control, qid, "mgmt.vm.Start", 514);
        Assert.That((reply, code), Is.EqualTo(("", 126)));
        await SayAsync(control, Message(0x213, Trigger("qubes.Filecopy")));
        Assert.That(await HearAsync(control, 40), Does.StartWith("0302000020000000"));
        var line = Daemon.Audit("mgmt.vm.List").Last(l => l.TryGetProperty("via", out _));
        Assert.That((line.GetProperty("source").GetString(), line.GetProperty("via").GetString()), Is.EqualTo(("work", "vchan-socket")));
    }

    [Test]
    public async Task A_guest_has_so_many_calls_in_flight_and_no_more()
    {
        var qid = (await Daemon.OkAsync("mgmt.vm.property.Get", "work", "qid")).Split(' ')[^1];
        using var control = await AcceptAsync(Listen(qid, 512));
        await SayAsync(control, Hello);
        await HearAsync(control, 12);
        // Nobody listens on their data channels: they stay in flight for a while.
        const int Limit = 4 * 8, Told = Limit, More = 8;
        for (var i = 0; i < Limit + Told + More; i++)
        {
            await SayAsync(control, Message(0x213, Trigger("mgmt.vm.List")));
        }
        var (connected, refused) = (0, 0);
        while (connected + refused < Limit + Told + More)
        {
            var header = await HearAsync(control, 8);
            var isConnect = header.StartsWith("02020000", StringComparison.Ordinal);
            await HearAsync(control, isConnect ? 40 : 32);
            (connected, refused) = isConnect ? (connected + 1, refused) : (connected, refused + 1);
        }
        Assert.That((connected, refused), Is.EqualTo((Limit + Told, More)));
        Assert.That(Daemon.Audit("mgmt.vm.List").Count(line => line.GetProperty("outcome").GetString() == "MgmtBusyError"), Is.EqualTo(Told + More));
        Assert.That((await Daemon.OkAsync("mgmt.vm.List")), Is.Not.Empty, "nobody else notices");
    }

    private static byte[] Hello => Message(0x300, 4, 0, 0, 0);

    private async Task<(string Reply, int Code)> CallAsync(Socket control, string qid, string service, uint port)
    {
        var server = Listen(qid, port);
        await SayAsync(control, Message(0x213, Trigger(service)));
        Assert.That(await HearAsync(control, 48), Does.StartWith("02020000280000000000000002020000").Or.StartWith("02020000280000000000000001020000"));
        using var data = await AcceptAsync(server);
        await SayAsync(data, [.. Hello, .. Message(0x190)]);
        Assert.That(await HearAsync(data, 20), Is.EqualTo(Convert.ToHexString(Hello) + "9201000000000000"));
        var reply = new StringBuilder();
        while (true)
        {
            var header = Convert.FromHexString(await HearAsync(data, 8));
            var body = Convert.FromHexString(await HearAsync(data, BitConverter.ToInt32(header, 4)));
            if (header[0] == 0x93)
            {
                return (reply.ToString(), BitConverter.ToInt32(body));
            }
            Assert.That(header[0], Is.EqualTo(0x91));
            reply.Append(Encoding.Latin1.GetString(body));
        }
    }

    private Socket Listen(string qid, uint port)
    {
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        _sockets.Add(listener);
        listener.Bind(new UnixDomainSocketEndPoint(Path.Combine(_directory, $"vchan.{qid}.0.{port}.sock")));
        listener.Listen(1);
        return listener;
    }

    private static async Task<Socket> AcceptAsync(Socket listener)
    {
        using var limit = new CancellationTokenSource(DaemonProcess.Deadline);
        return await listener.AcceptAsync(limit.Token);
    }

    private static byte[] Message(uint type, params byte[] body) => [.. BitConverter.GetBytes(type), .. BitConverter.GetBytes(body.Length), .. body];

    private static byte[] Trigger(string service) => [.. new byte[64], .. Field("dom0", 64), .. Field("SOCKET13", 32), .. Encoding.ASCII.GetBytes(service + "\0")];

    private static byte[] Field(string text, int size)
    {
        var field = new byte[size];
        Encoding.ASCII.GetBytes(text, field);
        return field;
    }

    private static async Task SayAsync(Socket socket, byte[] bytes) => await socket.SendAsync(bytes, SocketFlags.None, CancellationToken.None);

    private static async Task<string> HearAsync(Socket socket, int length)
    {
        using var limit = new CancellationTokenSource(DaemonProcess.Deadline);
        var bytes = new byte[length];
        for (var filled = 0; filled < length;)
        {
            var read = await socket.ReceiveAsync(bytes.AsMemory(filled), limit.Token);
            Assert.That(read, Is.Positive, "the channel ended");
            filled += read;
        }
        return Convert.ToHexString(bytes);
    }
}
