using System.Text;

namespace Mgmt.Qrexec.Tests;

/// <summary>Having an agent run something, with a scripted agent.</summary>
public sealed class GuestCommandTests
{
    private const string Command = "user:ls";
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);
    private readonly StringBuilder _output = new();
    private PortPeer _peer = null!;
    private Stream _port = null!;

    [SetUp]
    public async Task Connect()
    {
        _output.Clear();
        _peer = new PortPeer();
        _port = await _peer.ConnectAsync(CancellationToken.None);
        await _peer.AcceptRawAsync();
    }

    [TearDown]
    public async Task Disconnect()
    {
        await _port.DisposeAsync();
        _peer.Dispose();
    }

    [Test]
    public async Task Streams_and_exit_code_come_as_they_were_sent()
    {
        var running = RunAsync(Deadline, "in");
        var nonce = await OpenedAsync();
        // What is of an earlier conversation, and an announcement, are passed over.
        await _peer.SayAsync(Messages.Of(MessageType.DataStdout, 1, 2), PortPeer.Preamble(PortNonce.None), PortPeer.Preamble(new PortNonce(9)), Messages.Hello(4), PortPeer.Preamble(nonce), Messages.Hello(4));
        await _peer.HearAsync(Messages.Of(MessageType.DataStdin, "in"u8.ToArray()), Messages.Of(MessageType.DataStdin));
        await _peer.SayAsync(Messages.Of(MessageType.DataStderr, "e"u8.ToArray()), Messages.Of(MessageType.DataStdout, "out"u8.ToArray()), Messages.Of(MessageType.DataStdout), Messages.Of(MessageType.DataStderr),
            Messages.Of(MessageType.DataExitCode, 7, 0, 0, 0));
        Assert.That(await running.WaitAsync(Deadline), Is.EqualTo(7));
        Assert.That(_output.ToString(), Is.EqualTo("[DataStderr e][DataStdout out][DataStdout ][DataStderr ]"));
    }

    [Test]
    public async Task An_answer_may_come_byte_by_byte()
    {
        var running = RunAsync(Deadline, "");
        var nonce = await OpenedAsync();
        byte[] answer = [.. PortPeer.Preamble(nonce), .. Messages.Hello(4), .. Messages.Of(MessageType.DataStdout, "x"u8.ToArray()), .. Messages.Of(MessageType.DataExitCode, 0, 0, 0, 0)];
        foreach (var b in answer)
        {
            await _peer.SayAsync([b]);
        }
        Assert.That(await running.WaitAsync(Deadline), Is.Zero);
        Assert.That(_output.ToString(), Is.EqualTo("[DataStdout x]"));
    }

    [Test]
    public async Task A_guest_without_an_agent_is_not_waited_for()
    {
        var running = RunAsync(TimeSpan.FromMilliseconds(100), "");
        await OpenedAsync();
        Assert.That(async () => await running.WaitAsync(Deadline), Throws.TypeOf<TimeoutException>());
    }

    [Test]
    public async Task An_agent_that_begins_anew_has_lost_the_command()
    {
        var running = RunAsync(Deadline, "");
        var nonce = await OpenedAsync();
        await _peer.SayAsync(PortPeer.Preamble(nonce), Messages.Hello(4), Messages.Of(MessageType.DataStdout, "x"u8.ToArray()), PortPeer.Preamble(PortNonce.None));
        Assert.That(async () => await running.WaitAsync(Deadline), Throws.TypeOf<IOException>());
    }

    [Test]
    public async Task A_port_that_closes_has_lost_the_command()
    {
        var running = RunAsync(Deadline, "");
        await OpenedAsync();
        _peer.Connection.Dispose();
        Assert.That(async () => await running.WaitAsync(Deadline), Throws.InstanceOf<IOException>());
    }

    [Test]
    public async Task A_breach_of_the_agents_is_one([Values("version 2", "stdin", "after its end", "too long")] string breach)
    {
        var running = RunAsync(Deadline, "");
        var nonce = await OpenedAsync();
        byte[] bad = breach switch
        {
            "version 2" => Messages.Hello(2),
            "stdin" => [.. Messages.Hello(4), .. Messages.Of(MessageType.DataStdin, 1)],
            "after its end" => [.. Messages.Hello(4), .. Messages.Of(MessageType.DataStdout), .. Messages.Of(MessageType.DataStdout, 1)],
            _ => [.. Messages.Hello(4), .. BitConverter.GetBytes((uint)MessageType.DataStdout), .. BitConverter.GetBytes(uint.MaxValue)],
        };
        await _peer.SayAsync(PortPeer.Preamble(nonce), bad);
        Assert.That(async () => await running.WaitAsync(Deadline), Throws.TypeOf<QrexecProtocolException>());
    }

    [TestCase("user:a\0b")]
    [TestCase(null)]
    public void A_command_that_cannot_be_sent_is_refused(string? command) =>
        Assert.That(async () => await GuestCommand.RunAsync(_port, command ?? "user:" + new string('x', 65_535), Stream.Null, (_, _, _) => ValueTask.CompletedTask, Deadline, TimeProvider.System, CancellationToken.None),
            Throws.TypeOf<ArgumentException>());

    /// <summary>Takes the words that begin it: its nonce.</summary>
    private async Task<PortNonce> OpenedAsync()
    {
        var rest = new byte[PortMark.NonceSize];
        await _peer.HearAsync(PortMark.Bytes.ToArray());
        using var limit = new CancellationTokenSource(Deadline);
        for (var filled = 0; filled < rest.Length;)
        {
            filled += await _peer.Connection.ReceiveAsync(rest.AsMemory(filled), limit.Token);
        }
        await _peer.HearAsync(Messages.Hello(4), Messages.Of(MessageType.ExecCommandLine, [.. new byte[8], .. Encoding.ASCII.GetBytes(Command + "\0")]));
        return PortNonce.Read(rest);
    }

    private Task<int> RunAsync(TimeSpan deadline, string input) => GuestCommand.RunAsync(_port, Command, new MemoryStream(Encoding.ASCII.GetBytes(input)), (stream, bytes, _) =>
    {
        _output.Append('[').Append(stream).Append(' ').Append(Encoding.ASCII.GetString(bytes.Span)).Append(']');
        return ValueTask.CompletedTask;
    }, deadline, TimeProvider.System, CancellationToken.None);
}
