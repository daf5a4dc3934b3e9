namespace Mgmt.Qrexec.Tests;

/// <summary>Everything that a peer can say on the control channel of an agent and on a data channel, in every state and version: it is taken, or the channel is at its end.</summary>
public sealed class ChannelTableTests
{
    [Test]
    public void Every_message_on_a_control_channel_is_taken_or_its_end([Values(2u, 3u, 4u, 99u)] uint version, [Values] bool afterHello)
    {
        var agreed = (int)Math.Min(version, 4);
        var inForce = afterHello ? agreed : 4;
        byte[] before = afterHello ? Messages.Hello(version) : [];
        foreach (var type in BadMessages.Types)
        {
            foreach (var length in BadMessages.Lengths(type, inForce))
            {
                var message = BadMessages.Message(type, length, inForce);
                var fits = IsIn(type, length, inForce)
                    && (afterHello ? type is MessageType.TriggerService or MessageType.TriggerService3 or MessageType.TriggerService4 or MessageType.ConnectionTerminated : type == MessageType.Hello);
                var what = $"{type} of {length} bytes, version {version}";
                Assert.That(() => Control(before, message), fits ? Throws.Nothing : Throws.TypeOf<QrexecProtocolException>(), what);
                // A second one: right where the first was, but for a HELLO.
                Assert.That(() => Control(before, message, message), fits && type != MessageType.Hello ? Throws.Nothing : Throws.TypeOf<QrexecProtocolException>(), what + ", twice");
                if (fits)
                {
                    Assert.That(Control(before, message), Is.EqualTo(Control([.. before.Concat(message).Select(b => new[] { b })])), what + ", byte by byte");
                }
            }
        }
    }

    [Test]
    public void A_message_on_a_control_channel_that_is_cut_off_says_nothing_yet()
    {
        foreach (var type in new[] { MessageType.TriggerService3, MessageType.TriggerService4, MessageType.ConnectionTerminated })
        {
            var message = BadMessages.Message(type, BadMessages.Bounds(type, 4)!.Value.Min + (type == MessageType.ConnectionTerminated ? 0u : 5), 4);
            for (var cut = 0; cut < message.Length; cut++)
            {
                Assert.That(Control(Messages.Hello(4), message[..cut]), Has.Count.EqualTo(1), $"{type} cut at {cut}");
            }
            Assert.That(Control(Messages.Hello(4), message), Has.Count.EqualTo(2));
        }
    }

    [Test]
    public void Every_message_on_a_data_channel_is_taken_or_its_end(
        [Values] bool isService, [Values(2u, 3u, 4u, 99u)] uint version, [Values("before hello", "open", "ended", "exited")] string state)
    {
        var agreed = state == "before hello" ? 4 : (int)Math.Min(version, 4);
        byte[] before = state switch
        {
            "before hello" => [],
            "open" => Messages.Hello(version),
            "ended" => [.. Messages.Hello(version), .. Messages.Of(isService ? MessageType.DataStdin : MessageType.DataStdout), .. isService ? [] : Messages.Of(MessageType.DataStderr)],
            _ => [.. Messages.Hello(version), .. Messages.Of(MessageType.DataExitCode, 0, 0, 0, 0)],
        };
        foreach (var type in BadMessages.Types)
        {
            foreach (var length in BadMessages.Lengths(type, agreed))
            {
                var message = BadMessages.Message(type, length, agreed);
                var what = $"{type} of {length} bytes, {state}, version {version}";
                var fits = IsIn(type, length, agreed) && MayCome(isService, state, type);
                Assert.That(() => Data(isService, before, message), fits ? Throws.Nothing : Throws.TypeOf<QrexecProtocolException>(), what);
                var twice = fits && !IsOnce(isService, state, type, length);
                Assert.That(() => Data(isService, before, message, message), twice ? Throws.Nothing : Throws.TypeOf<QrexecProtocolException>(), what + ", twice");
                for (var cut = 0; cut < Math.Min(message.Length, 300) && fits; cut++)
                {
                    Assert.That(() => Data(isService, before, message[..cut]), Throws.Nothing, $"{what}, cut at {cut}");
                }
            }
        }
    }

    private static bool IsIn(MessageType type, uint length, int version) => BadMessages.Bounds(type, version) is { } bounds && length >= bounds.Min && length <= bounds.Max;

    /// <summary>The table of the reference. On the service's side an exit code and error output mean nothing, and the caller's output is its input.</summary>
    private static bool MayCome(bool isService, string state, MessageType type) => (isService, state, type) switch
    {
        (_, "before hello", _) => type == MessageType.Hello,
        (_, _, MessageType.Hello) => false,
        (true, "ended", MessageType.DataStdin or MessageType.DataStdout) => false,
        (true, _, MessageType.DataStdin or MessageType.DataStdout or MessageType.DataStderr or MessageType.DataExitCode) => true,
        (false, "open", MessageType.DataStdout or MessageType.DataStderr or MessageType.DataExitCode) => true,
        (false, "ended", MessageType.DataExitCode) => true,
        _ => false,
    };

    /// <summary>What may come, but not a second time: a HELLO, the end of a stream, an exit code that counts.</summary>
    private static bool IsOnce(bool isService, string state, MessageType type, uint length) => state == "before hello"
        || (length == 0 && (isService ? type is MessageType.DataStdin or MessageType.DataStdout : type is MessageType.DataStdout or MessageType.DataStderr))
        || (type == MessageType.DataExitCode && !isService);

    private static List<string> Control(params byte[][] blocks)
    {
        var events = new Recorder();
        var control = new ControlProtocol(events);
        foreach (var block in blocks)
        {
            control.Feed(block);
        }
        return events.Seen;
    }

    private static void Data(bool isService, params byte[][] blocks)
    {
        var data = new DataProtocol(new Recorder(), isService);
        foreach (var block in blocks)
        {
            data.Feed(block);
        }
    }

    private sealed class Recorder : IControlEvents, IDataEvents
    {
        public List<string> Seen { get; } = [];

        void IControlEvents.Greeted(int version) => Seen.Add($"greeted {version}");

        void IControlEvents.Called(TriggerService request) => Seen.Add($"called {request.Service.Length}");

        void IControlEvents.Terminated(uint domain, uint port) => Seen.Add($"terminated {domain} {port}");

        void IDataEvents.Greeted(int version) => Seen.Add($"greeted {version}");

        void IDataEvents.Received(MessageType stream, ReadOnlySpan<byte> bytes) => Seen.Add($"{stream} {bytes.Length}");

        void IDataEvents.Ended(MessageType stream) => Seen.Add($"end of {stream}");

        void IDataEvents.Exited(int code) => Seen.Add($"exit {code}");
    }
}
