namespace Mgmt.Qrexec.Tests;

/// <summary>
/// A hostile mgmt-agent in the guest that is called: whatever it says in whatever state, the command ends, with its exit code or an error that the caller of the service expects, and nothing else.
/// </summary>
public sealed class CommandTableTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);
    private static readonly string[] States = ["before it answered", "with another nonce", "answered", "greeted", "ended", "exited"];

    private PortPeer _peer = null!;

    [SetUp]
    public void Listen() => _peer = new PortPeer();

    [TearDown]
    public void Close() => _peer.Dispose();

    [Test]
    public async Task Every_message_in_every_state_is_taken_or_ends_the_command([ValueSource(nameof(States))] string state)
    {
        foreach (var type in BadMessages.Types)
        {
            foreach (var length in BadMessages.Lengths(type, 4))
            {
                var message = BadMessages.Message(type, length, 4);
                var expected = Outcome(state, type, length);
                Assert.That(await RunAsync(nonce => [.. Before(state, nonce), .. message]), Is.EqualTo(expected), $"{type} of {length} bytes, {state}");
            }
        }
    }

    [Test]
    public async Task An_answer_cut_off_at_any_byte_is_a_command_that_was_lost()
    {
        var whole = Before("exited", new PortNonce(1)).Length;
        for (var cut = 0; cut < whole; cut++)
        {
            Assert.That(await RunAsync(nonce => Before("exited", nonce)[..cut]), Is.EqualTo("lost"), $"cut at {cut}");
        }
        Assert.That(await RunAsync(nonce => Before("exited", nonce)), Is.EqualTo("exit 3"));
    }

    [TestCase(0u)]
    [TestCase(1u)]
    [TestCase(2u)]
    public async Task An_agent_of_a_version_that_no_port_has_is_a_breach(uint version) =>
        Assert.That(await RunAsync(nonce => [.. PortPeer.Preamble(nonce), .. Messages.Hello(version)]), Is.EqualTo("breach"));

    [TestCase(3u)]
    [TestCase(99u)]
    public async Task One_of_another_version_is_an_agent(uint version) =>
        Assert.That(await RunAsync(nonce => [.. PortPeer.Preamble(nonce), .. Messages.Hello(version), .. Messages.Of(MessageType.DataExitCode, 3, 0, 0, 0)]), Is.EqualTo("exit 3"));

    [Test]
    public async Task An_agent_that_begins_anew_or_answers_twice_has_lost_the_command()
    {
        foreach (var again in new[] { PortNonce.None, new PortNonce(5) })
        {
            Assert.That(await RunAsync(nonce => [.. PortPeer.Preamble(nonce), .. Messages.Hello(4), .. PortPeer.Preamble(again)]), Is.EqualTo("lost"));
        }
        Assert.That(await RunAsync(nonce => [.. PortPeer.Preamble(nonce), .. PortPeer.Preamble(nonce)]), Is.EqualTo("lost"), "the same nonce twice");
        Assert.That(await RunAsync(nonce => [.. PortPeer.Preamble(PortNonce.None), .. PortPeer.Preamble(nonce), .. Messages.Hello(4), .. Messages.Of(MessageType.DataExitCode, 3, 0, 0, 0)]), Is.EqualTo("exit 3"));
    }

    /// <summary>A mark that never comes, in much noise, among parts of marks.</summary>
    [Test]
    public async Task Noise_is_passed_over_and_never_answered()
    {
        var random = new Random(3);
        var noise = new byte[200_000];
        random.NextBytes(noise);
        for (var at = 0; at + 16 < noise.Length; at += 1009)
        {
            PortMark.Bytes[..random.Next(16)].CopyTo(noise.AsSpan(at));
        }
        Assert.That(await RunAsync(_ => noise), Is.EqualTo("lost"));
        Assert.That(await RunAsync(nonce => [.. noise, .. Before("exited", nonce)]), Is.EqualTo("exit 3"));
    }

    [Test]
    public async Task Very_many_small_messages_are_handed_on_as_they_come()
    {
        var one = Messages.Of(MessageType.DataStdout, 1);
        byte[] many = [.. Enumerable.Repeat(one, 100_000).SelectMany(bytes => bytes)];
        Assert.That(await RunAsync(nonce => [.. Before("greeted", nonce), .. many, .. Messages.Of(MessageType.DataExitCode, 3, 0, 0, 0)]), Is.EqualTo("exit 3"));
    }

    /// <summary>What leads to a state.</summary>
    private static byte[] Before(string state, PortNonce nonce)
    {
        byte[] greeted = [.. PortPeer.Preamble(nonce), .. Messages.Hello(4)];
        byte[] ended = [.. greeted, .. Messages.Of(MessageType.DataStdout), .. Messages.Of(MessageType.DataStderr)];
        return state switch
        {
            "before it answered" => [],
            "with another nonce" => PortPeer.Preamble(new PortNonce(~nonce.Value)),
            "answered" => PortPeer.Preamble(nonce),
            "greeted" => greeted,
            "ended" => ended,
            _ => [.. ended, .. Messages.Of(MessageType.DataExitCode, 3, 0, 0, 0)],
        };
    }

    /// <summary>The agent hangs up after it: so what is taken, or passed over, is a command that was lost, unless it had ended.</summary>
    private static string Outcome(string state, MessageType type, uint length)
    {
        var isRight = BadMessages.Bounds(type, 4) is { } bounds && length >= bounds.Min && length <= bounds.Max;
        return (state, type) switch
        {
            ("before it answered" or "with another nonce", _) => "lost",
            ("exited", _) => "exit 3",
            ("answered", MessageType.Hello) when isRight => "lost",
            ("greeted", MessageType.DataStdout or MessageType.DataStderr) when isRight => "lost",
            ("greeted" or "ended", MessageType.DataExitCode) when isRight => "exit 0",
            _ => "breach",
        };
    }

    private async Task<string> RunAsync(Func<PortNonce, byte[]> answer)
    {
        await using var port = await _peer.ConnectAsync(CancellationToken.None);
        await _peer.AcceptRawAsync();
        var running = GuestCommand.RunAsync(port, "user:ls", Stream.Null, (_, _, _) => ValueTask.CompletedTask, Deadline, TimeProvider.System, CancellationToken.None);
        var opening = new byte[PortMark.Size + PortMark.NonceSize + 12 + 16 + 8];
        await _peer.ReadAsync(opening);
        await _peer.SayAsync(answer(PortNonce.Read(opening.AsSpan(PortMark.Size, PortMark.NonceSize))));
        _peer.Connection.Shutdown(System.Net.Sockets.SocketShutdown.Send);
        try
        {
            return $"exit {await running.WaitAsync(Deadline)}";
        }
        catch (QrexecProtocolException)
        {
            return "breach";
        }
        catch (IOException)
        {
            return "lost";
        }
    }
}
