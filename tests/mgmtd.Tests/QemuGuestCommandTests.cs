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
    public async Task A_socket_is_told_who_calls_and_then_what_the_caller_says()
    {
        await RunAsync("root:unix-service /run/qubes-rpc/test.Socket all; ln -s test.Socket /run/qubes-rpc/test.Bare; mkdir -p /run/qubes/rpc-config; echo 'skip-service-descriptor = true # as it is' >/run/qubes/rpc-config/test.Bare");
        Assert.That(await RunAsync("user:QUBESRPC test.Socket+an-arg mail", "in"), Is.EqualTo((0, "got test.Socket+an-arg mail\0in", "")));
        Assert.That(await RunAsync("user:QUBESRPC test.Socket mail"), Is.EqualTo((0, "got test.Socket+ mail\0", "")));
        Assert.That(await RunAsync("user:QUBESRPC test.Bare mail", "in"), Is.EqualTo((0, "got in", "")));
        await RunAsync("root:killall unix-service");
        var (code, output, _) = await RunAsync("user:QUBESRPC test.Socket mail", "in");
        Assert.That((code, output), Is.EqualTo((125, "")));
    }

    [Test]
    public async Task A_socket_is_over_when_its_configuration_says_so()
    {
        await RunAsync("""
            root:mkdir -p /run/qubes/rpc-config; cd /run/qubes-rpc; unix-service /run/qubes-rpc/test.Mute mute; unix-service /run/qubes-rpc/test.Half half; unix-service /run/qubes-rpc/test.Cat cat
            ln -s test.Half test.Both
            echo 'exit-on-client-eof=true' >/run/qubes/rpc-config/test.Mute; echo 'exit-on-service-eof=true' >/run/qubes/rpc-config/test.Half
            """);
        Assert.That(await RunAsync("root:QUBESRPC test.Mute mail", "in"), Is.EqualTo((0, "", "")));
        var (port, running) = await BeginAsync("root:QUBESRPC test.Half mail", new NeverEnding(), (_, _, _) => ValueTask.CompletedTask, CancellationToken.None);
        await using (port)
        {
            Assert.That(await running.WaitAsync(Deadline), Is.Zero);
        }
        // Without a word of it, what has closed its output goes on to take input.
        Assert.That(await RunAsync("root:QUBESRPC test.Both mail", new string('i', 200_000)), Is.EqualTo((0, "bye", "")));
        Assert.That((await RunAsync("root:cat /run/qubes-rpc/test.Half.count")).Output, Is.EqualTo($"{200_000 + "test.Both+ mail\0".Length}\n"));
        var data = new string('d', 3 << 20);
        Assert.That((await RunAsync("root:QUBESRPC test.Cat mail", data)).Output, Is.EqualTo("test.Cat+ mail\0" + data));
        await RunAsync("root:killall unix-service");
    }

    [Test]
    public async Task A_configuration_names_the_user_and_has_the_session_waited_for()
    {
        await RunAsync("""
            root:mkdir -p /run/qubes/rpc-config; cd /run/qubes-rpc
            printf '#!/bin/sh\nid -un; cat /run/session\n' >test.Who; printf '#!/bin/sh\necho "$(id -un) waits for $(cat)" >/run/session\n' >qubes.WaitForSession; chmod 755 test.Who qubes.WaitForSession
            printf "force-user = 'user'\nwait-for-session=true\n" >/run/qubes/rpc-config/test.Who+a
            """);
        Assert.That((await RunAsync("root:QUBESRPC test.Who+a mail")).Output, Is.EqualTo("user\nroot waits for user\n"));
        await RunAsync("root:rm /run/session");
        Assert.That((await RunAsync("root:QUBESRPC test.Who+b mail")).Output, Is.EqualTo("root\n"));
        Assert.That((await RunAsync("root:nogui:QUBESRPC test.Who+a mail")).Output, Is.EqualTo("user\n"));
    }

    [TestCase("force-user='user'\\nforce-user='user'")]
    [TestCase("exit-on-client-eof=yes")]
    [TestCase("exit-on-client-eof='true'")]
    [TestCase("force-user=user")]
    [TestCase("force-user='no-such-user'")]
    [TestCase("colour='red'")]
    [TestCase("nothing")]
    public async Task A_bad_configuration_is_a_refusal(string text)
    {
        await RunAsync($"root:mkdir -p /run/qubes/rpc-config; printf \"{text}\" >/run/qubes/rpc-config/test.Echo+bad");
        Assert.That(await RunAsync("root:QUBESRPC test.Echo+bad mail"), Is.EqualTo((126, "", "")));
        Assert.That((await RunAsync("root:QUBESRPC test.Echo+good mail")).Code, Is.Zero);
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
        Assert.That((await RunAsync("root:n=0; while ps | grep -q '[s]leep 1000' && [ $n -lt 200 ]; do n=$((n+1)); usleep 20000; done; ps | grep '[s]leep 1000'")).Output, Is.Empty);
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
