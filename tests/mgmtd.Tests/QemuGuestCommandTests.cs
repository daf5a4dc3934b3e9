using System.Net.Sockets;
using System.Text;
using Mgmt.Qrexec;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>What the host has a real guest's mgmt-agent run, over the port that its QEMU holds. One boot for all.</summary>
public sealed class QemuGuestCommandTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);
    private QemuDaemon _qemu = null!;
    private string _port = "";

    [OneTimeSetUp]
    public async Task Start()
    {
        _qemu = await QemuDaemon.StartAsync();
        await _qemu.MakeVmAsync("work");
        await _qemu.ReadyAsync("work");
        _port = Path.Combine(Directory.EnumerateDirectories(Path.Combine(_qemu.Process.RunDirectory, "vm")).Single(), "exec0");
        await RunAsync("root:mkdir -p /run/qubes-rpc; printf '#!/bin/sh\\necho \"$0 $# $1 $QREXEC_REMOTE_DOMAIN $QREXEC_SERVICE_FULL_NAME $QREXEC_SERVICE_ARGUMENT\"; cat' >/run/qubes-rpc/test.Echo; chmod 755 /run/qubes-rpc/test.Echo");
    }

    [OneTimeTearDown]
    public async Task Stop()
    {
        if (_qemu is not null)
        {
            await _qemu.DisposeAsync();
        }
    }

    [Test]
    public async Task A_command_has_its_streams_and_its_exit_code()
    {
        Assert.That(await RunAsync("root:cat; echo oops >&2; exit 7", "some words"), Is.EqualTo((7, "some words", "oops\n")));
        Assert.That((await RunAsync("root:kill -9 $$")).Code, Is.EqualTo(137));
    }

    [Test]
    public async Task A_command_is_run_by_its_user()
    {
        Assert.That((await RunAsync("user:id -u; echo $HOME")).Output, Is.EqualTo("1000\n/home/user\n"));
        Assert.That((await RunAsync("DEFAULT:nogui:id -u")).Output, Is.EqualTo("1000\n"));
        Assert.That((await RunAsync("nobody-knows:id")).Code, Is.EqualTo(125));
    }

    [Test]
    public async Task A_service_gets_its_argument_and_who_calls()
    {
        Assert.That(await RunAsync("root:QUBESRPC test.Echo+an-arg mail", "in"), Is.EqualTo((0, "/run/qubes-rpc/test.Echo 1 an-arg mail test.Echo+an-arg an-arg\nin", "")));
        Assert.That((await RunAsync("root:QUBESRPC test.Echo mail")).Output, Is.EqualTo("/run/qubes-rpc/test.Echo 0  mail test.Echo+ \n"));
        Assert.That((await RunAsync("root:QUBESRPC test.Absent+x mail")).Code, Is.EqualTo(127));
        Assert.That((await RunAsync("root:QUBESRPC ../../bin/sh+x mail")).Code, Is.EqualTo(127));
    }

    [Test]
    public async Task Much_goes_both_ways()
    {
        var data = new byte[8 << 20];
        new Random(1).NextBytes(data);
        for (var at = 0; at + PortMark.Size < data.Length; at += 777_777)
        {
            PortMark.Bytes.CopyTo(data.AsSpan(at));
        }
        var text = Encoding.Latin1.GetString(data);
        var (code, output, _) = await RunAsync("root:cat", text);
        Assert.That((code, output == text), Is.EqualTo((0, true)));
    }

    [Test]
    public async Task A_host_that_goes_ends_the_command_and_the_next_one_is_served()
    {
        using var stop = new CancellationTokenSource();
        var started = new TaskCompletionSource();
        var (port, running) = await BeginAsync("root:echo begun; sleep 1000", new NeverEnding(), (_, bytes, _) =>
        {
            started.TrySetResult();
            return ValueTask.CompletedTask;
        }, stop.Token);
        await started.Task.WaitAsync(Deadline);
        await stop.CancelAsync();
        Assert.That(async () => await running, Throws.InstanceOf<OperationCanceledException>());
        await port.DisposeAsync();
        Assert.That((await RunAsync("root:n=0; while pgrep -f 'sleep 1000' >/dev/null && [ $n -lt 200 ]; do n=$((n+1)); usleep 20000; done; pgrep -x sleep")).Output, Is.Empty);
    }

    private async Task<(int Code, string Output, string Error)> RunAsync(string command, string input = "")
    {
        var (output, error) = (new MemoryStream(), new MemoryStream());
        var (port, running) = await BeginAsync(command, new MemoryStream(Encoding.Latin1.GetBytes(input)), (stream, bytes, token) => (stream == MessageType.DataStdout ? output : error).WriteAsync(bytes, token), CancellationToken.None);
        await using (port)
        {
            var code = await running.WaitAsync(Deadline);
            return (code, Encoding.Latin1.GetString(output.ToArray()), Encoding.Latin1.GetString(error.ToArray()));
        }
    }

    private async Task<(Stream Port, Task<int> Running)> BeginAsync(string command, Stream input, Func<MessageType, ReadOnlyMemory<byte>, CancellationToken, ValueTask> output, CancellationToken cancellation)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(_port), cancellation);
        var port = new NetworkStream(socket, ownsSocket: true);
        return (port, GuestCommand.RunAsync(port, command, input, output, Deadline, TimeProvider.System, cancellation));
    }

    /// <summary>An input without an end.</summary>
    private sealed class NeverEnding : MemoryStream
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);
            return 0;
        }
    }
}
