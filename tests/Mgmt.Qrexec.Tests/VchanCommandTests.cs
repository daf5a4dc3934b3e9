using System.Net.Sockets;
using System.Text;
using Mgmt.Core;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mgmt.Qrexec.Tests;

/// <summary>Commands of the host's for an agent on vchan sockets, scripted. The bytes are those of an unmodified agent of Qubes OS 4.3.</summary>
public sealed class VchanCommandTests
{
    private const uint Domain = 7;
    private const string Hello4 = "00030000 04000000 04000000";
    private const string Command = "user:QUBESRPC test.Echo+a work";
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);
    private static readonly byte[] ExitCode5 = Messages.Of(MessageType.DataExitCode, 5, 0, 0, 0);

    private readonly StringBuilder _output = new();
    private VchanGuest _guest = null!;
    private VchanDirectory _directory = null!;
    private AgentLink _link = null!;
    private VchanGuest.Stream _control = null!;
    private CancellationTokenSource _stop = null!;
    private Task _running = null!;

    [SetUp]
    public async Task Start()
    {
        _output.Clear();
        _guest = new VchanGuest();
        _directory = new VchanDirectory(_guest.Path, TimeProvider.System);
        _stop = new CancellationTokenSource();
        var limits = new AgentLimits { Hello = TimeSpan.FromMilliseconds(500), Connect = TimeSpan.FromSeconds(1), Pause = TimeSpan.FromMilliseconds(20) };
        _link = new AgentLink(Domain, "guest 7", _directory, new Refuses(), limits, TimeProvider.System, NullLogger.Instance);
        _running = _link.RunAsync(_stop.Token);
        _control = await GreetAsync();
    }

    [TearDown]
    public async Task Stop()
    {
        await _stop.CancelAsync();
        await _running.WaitAsync(Deadline);
        _directory.Dispose();
        _guest.Dispose();
        _stop.Dispose();
    }

    [Test]
    public async Task A_command_goes_as_it_goes_in_qubes()
    {
        await using var command = _link.Open(Command, isJustStarted: false);
        var running = RunAsync(command, "hi\n");
        await _control.HearAsync(Exec(MessageType.ExecCommandLine, 513));
        var data = await _guest.ConnectAsync(Domain, 513);
        // The host greets first.
        await data.HearAsync(Hello4);
        await data.SayAsync(Messages.Hello(4));
        await data.HearAsync("90010000 03000000" + Convert.ToHexString("hi\n"u8) + "90010000 00000000");
        await data.SayAsync(Messages.Of(MessageType.DataStdout, "out"u8.ToArray()), Messages.Of(MessageType.DataStderr, "oops"u8.ToArray()), Messages.Of(MessageType.DataStdout), Messages.Of(MessageType.DataStderr), ExitCode5);
        Assert.That(await running.WaitAsync(Deadline), Is.EqualTo(5));
        Assert.That(_output.ToString(), Is.EqualTo("[DataStdout out][DataStderr oops][DataStdout ][DataStderr ]"));
        await command.DisposeAsync();
        await data.EndAsync();
        Assert.That(File.Exists(_guest.PathOf(Domain, 513)), Is.False);
    }

    [Test]
    public async Task A_command_that_is_just_started_has_its_exit_code_at_once()
    {
        await using var command = _link.Open("root:poweroff", isJustStarted: true);
        var running = RunAsync(command, "");
        await _control.HearAsync("01020000 16000000 00000000 01020000" + Convert.ToHexString("root:poweroff\0"u8));
        var data = await ConnectAsync(513, 4);
        await data.SayAsync(Messages.Of(MessageType.DataExitCode, 0, 0, 0, 0));
        Assert.That(await running.WaitAsync(Deadline), Is.Zero);
    }

    [Test]
    public async Task A_file_of_yesterday_makes_room_and_only_one_connection_is_taken()
    {
        await File.WriteAllTextAsync(_guest.PathOf(Domain, 513), "");
        await using var command = _link.Open(Command, isJustStarted: false);
        var running = RunAsync(command, "");
        await _control.HearAsync(Exec(MessageType.ExecCommandLine, 513));
        var data = await ConnectAsync(513, 4);
        Assert.That(async () => await _guest.ConnectAsync(Domain, 513), Throws.TypeOf<SocketException>());
        await data.SayAsync(ExitCode5);
        Assert.That(await running.WaitAsync(Deadline), Is.EqualTo(5));
    }

    /// <summary>An agent that is the client reads into a ring of one page, and waits for a whole body in it.</summary>
    [TestCase(2u)]
    [TestCase(3u)]
    [TestCase(4u)]
    public async Task Input_goes_in_pieces_that_an_agent_of_any_version_can_read(uint version)
    {
        await using var command = _link.Open(Command, isJustStarted: false);
        var running = RunAsync(command, new string('x', 10_000));
        await _control.HearAsync(Exec(MessageType.ExecCommandLine, 513));
        var data = await ConnectAsync(513, version);
        foreach (var piece in new[] { 4096, 4096, 1808 })
        {
            await data.HearAsync("90010000" + Convert.ToHexString(BitConverter.GetBytes(piece)) + Convert.ToHexString(Encoding.ASCII.GetBytes(new string('x', piece))));
        }
        await data.HearAsync("90010000 00000000");
        var most = version == 2 ? 4096 : 65536;
        await data.SayAsync(Messages.Of(MessageType.DataStdout, new byte[most]), ExitCode5);
        Assert.That(await running.WaitAsync(Deadline), Is.EqualTo(5));
        Assert.That(_output.ToString().Count(c => c == '\0'), Is.EqualTo(most));
    }

    [TestCase(2u, 4097)]
    [TestCase(4u, 65537)]
    public async Task Output_in_a_longer_piece_is_a_breach(uint version, int length)
    {
        await using var command = _link.Open(Command, isJustStarted: false);
        var running = RunAsync(command, "");
        await _control.HearAsync(Exec(MessageType.ExecCommandLine, 513));
        await (await ConnectAsync(513, version)).SayAsync(Messages.Of(MessageType.DataStdout, new byte[length]));
        Assert.That(async () => await running.WaitAsync(Deadline), Throws.TypeOf<QrexecProtocolException>());
    }

    [Test]
    public async Task An_agent_that_does_not_connect_is_not_waited_for_and_told_so_when_it_does()
    {
        await using (var command = _link.Open(Command, isJustStarted: false))
        {
            var running = RunAsync(command, "");
            await _control.HearAsync(Exec(MessageType.ExecCommandLine, 513));
            Assert.That(async () => await running.WaitAsync(Deadline), Throws.TypeOf<TimeoutException>());
        }
        // Its port is not used for another one meanwhile.
        await using var next = _link.Open(Command, isJustStarted: false);
        using var gone = new CancellationTokenSource();
        var cancelled = RunAsync(next, "", gone.Token);
        await _control.HearAsync(Exec(MessageType.ExecCommandLine, 514));
        var late = await _guest.ConnectAsync(Domain, 513);
        await late.EndAsync();
        await gone.CancelAsync();
        Assert.That(async () => await cancelled.WaitAsync(Deadline), Throws.InstanceOf<OperationCanceledException>());
        await next.DisposeAsync();
        await (await _guest.ConnectAsync(Domain, 514)).EndAsync();
        await _control.SayAsync(Messages.Terminated(0, 513));
        await FreedAsync(513);
    }

    [TestCase("nothing")]
    [TestCase("00030000")]
    public async Task An_agent_that_does_not_greet_is_not_waited_for(string said)
    {
        await using var command = _link.Open(Command, isJustStarted: false);
        var running = RunAsync(command, "");
        await _control.HearAsync(Exec(MessageType.ExecCommandLine, 513));
        var data = await _guest.ConnectAsync(Domain, 513);
        await data.SayAsync(said == "nothing" ? [] : Convert.FromHexString(said));
        Assert.That(async () => await running.WaitAsync(Deadline), Throws.TypeOf<TimeoutException>());
    }

    [Test]
    public async Task A_breach_of_the_agents_is_one([Values("version 1", "no hello", "hello twice", "stdin", "after its end", "exec")] string breach)
    {
        await using var command = _link.Open(Command, isJustStarted: false);
        var running = RunAsync(command, "");
        await _control.HearAsync(Exec(MessageType.ExecCommandLine, 513));
        var data = await _guest.ConnectAsync(Domain, 513);
        await data.SayAsync(breach switch
        {
            "version 1" => Messages.Hello(1),
            "no hello" => Messages.Of(MessageType.DataStdout, 1),
            "hello twice" => [.. Messages.Hello(4), .. Messages.Hello(4)],
            "stdin" => [.. Messages.Hello(4), .. Messages.Of(MessageType.DataStdin, 1)],
            "after its end" => [.. Messages.Hello(4), .. Messages.Of(MessageType.DataStdout), .. Messages.Of(MessageType.DataStdout, 1)],
            _ => [.. Messages.Hello(4), .. Messages.Of(MessageType.ExecCommandLine, new byte[20])],
        });
        Assert.That(async () => await running.WaitAsync(Deadline), Throws.TypeOf<QrexecProtocolException>());
    }

    [Test]
    public async Task What_the_agent_says_after_the_exit_code_counts_for_nothing()
    {
        await using var command = _link.Open(Command, isJustStarted: false);
        var running = RunAsync(command, "");
        await _control.HearAsync(Exec(MessageType.ExecCommandLine, 513));
        var data = await _guest.ConnectAsync(Domain, 513);
        await data.SayAsync(Messages.Hello(4), ExitCode5, ExitCode5);
        Assert.That(await running.WaitAsync(Deadline), Is.EqualTo(5));
    }

    [Test]
    public async Task An_agent_may_end_at_every_byte()
    {
        byte[] all = [.. Messages.Hello(3), .. Messages.Of(MessageType.DataStdout, "out"u8.ToArray()), .. Messages.Of(MessageType.DataStdout), .. ExitCode5];
        for (var length = 0; length <= all.Length; length++)
        {
            await using var command = _link.Open(Command, isJustStarted: false);
            var running = RunAsync(command, "");
            await _control.HearAsync(Exec(MessageType.ExecCommandLine, 513));
            var data = await _guest.ConnectAsync(Domain, 513);
            await data.HearAsync(Hello4);
            await data.SayAsync(all[..length]);
            data.Close();
            if (length == all.Length)
            {
                Assert.That(await running.WaitAsync(Deadline), Is.EqualTo(5));
            }
            else
            {
                Assert.That(async () => await running.WaitAsync(Deadline), Throws.InstanceOf<IOException>(), $"{length} bytes");
            }
            await command.DisposeAsync();
            await _control.SayAsync(Messages.Terminated(0, 513));
            await FreedAsync(513);
        }
    }

    [Test]
    public async Task An_agent_that_floods_waits_for_who_reads()
    {
        await using var command = _link.Open(Command, isJustStarted: false);
        var taken = new TaskCompletionSource();
        var running = command.RunAsync(Stream.Null, async (_, _, token) => await taken.Task.WaitAsync(token), _stop.Token);
        await _control.HearAsync(Exec(MessageType.ExecCommandLine, 513));
        var data = await ConnectAsync(513, 4);
        var sent = await data.FillAsync(Messages.Of(MessageType.DataStdout, new byte[60_000]), 64 << 20);
        Assert.That(sent, Is.LessThan(4 << 20));
        data.Close();
        taken.SetResult();
        Assert.That(async () => await running.WaitAsync(Deadline), Throws.InstanceOf<IOException>());
    }

    [Test]
    public async Task A_command_goes_on_without_the_control_channel_and_its_port_is_free_after_it()
    {
        await using var command = _link.Open(Command, isJustStarted: false);
        var running = RunAsync(command, "");
        await _control.HearAsync(Exec(MessageType.ExecCommandLine, 513));
        var data = await ConnectAsync(513, 4);
        _control.Close();
        _control = await GreetAsync();
        await data.SayAsync(ExitCode5);
        Assert.That(await running.WaitAsync(Deadline), Is.EqualTo(5));
        await command.DisposeAsync();
        await FreedAsync(513);
    }

    [Test]
    public async Task A_port_that_the_agent_died_with_is_free_with_the_next_agent()
    {
        await using (var command = _link.Open(Command, isJustStarted: false))
        {
            var running = RunAsync(command, "");
            await _control.HearAsync(Exec(MessageType.ExecCommandLine, 513));
            await (await ConnectAsync(513, 4)).SayAsync(ExitCode5);
            await running.WaitAsync(Deadline);
        }
        _control.Close();
        _control = await GreetAsync();
        await FreedAsync(513);
    }

    [Test]
    public async Task A_guest_can_call_whatever_the_host_asks_of_it()
    {
        var commands = new List<VchanCommand>();
        for (var i = 0; i < DataPorts.Count / 2; i++)
        {
            commands.Add(_link.Open(Command, isJustStarted: false));
        }
        Assert.That(() => _link.Open(Command, isJustStarted: false), Throws.TypeOf<MgmtException>().With.Property("Code").EqualTo(ErrorCode.MgmtBusyError));
        Assert.That(_link.Ports.Take(isCommand: false), Is.Not.Null);
        foreach (var command in commands)
        {
            await command.DisposeAsync();
        }
        await FreedAsync(513);
    }

    [TestCase("user:a\0b")]
    [TestCase(null)]
    public void A_command_that_no_agent_can_read_is_refused(string? command) => Assert.That(
        () => _link.Open(command ?? "user:" + new string('x', VchanCommand.MaxBody), isJustStarted: false), Throws.TypeOf<MgmtException>().With.Property("Code").EqualTo(ErrorCode.ProtocolError));

    private async Task<VchanGuest.Stream> GreetAsync()
    {
        var control = await _guest.Listen(Domain, 512).AcceptAsync();
        await control.SayAsync(Messages.Hello(4));
        await control.HearAsync(Hello4);
        await _link.GreetedAsync(_stop.Token).WaitAsync(Deadline);
        return control;
    }

    /// <summary>Connects to the data channel, with HELLO both ways.</summary>
    private async Task<VchanGuest.Stream> ConnectAsync(uint port, uint version)
    {
        var data = await _guest.ConnectAsync(Domain, port);
        await data.HearAsync(Hello4);
        await data.SayAsync(Messages.Hello(version));
        return data;
    }

    /// <summary>The port is the lowest free one, soon.</summary>
    private async Task FreedAsync(uint port)
    {
        for (var until = Environment.TickCount64 + (long)Deadline.TotalMilliseconds; ; await Task.Yield())
        {
            var use = _link.Ports.Take(isCommand: false)!;
            _link.Ports.Return(use);
            if (use.Port == port)
            {
                return;
            }
            Assert.That(Environment.TickCount64, Is.LessThan(until), $"port {port} is not free");
        }
    }

    private static string Exec(MessageType type, uint port) => Convert.ToHexString(Messages.Of(type, [.. BitConverter.GetBytes(0), .. BitConverter.GetBytes(port), .. Encoding.ASCII.GetBytes(Command + "\0")]));

    private async Task<int> RunAsync(VchanCommand command, string input, CancellationToken cancellation = default) => await command.RunAsync(new MemoryStream(Encoding.ASCII.GetBytes(input)), (stream, bytes, _) =>
    {
        _output.Append('[').Append(stream).Append(' ').Append(Encoding.ASCII.GetString(bytes.Span)).Append(']');
        return ValueTask.CompletedTask;
    }, cancellation);

    private sealed class Refuses : IGuestCallHandler
    {
        public GuestPace Pace { get; } = new(TimeProvider.System);

        public async Task ServeAsync(GuestCall call, CancellationToken cancellation) => await call.RefuseAsync(cancellation);
    }
}
