namespace Mgmt.Qrexec.Tests;

/// <summary>Everything that a guest can say on a port, in every state: what is not a breach is what docs/guest-channels.md says, and the next call is never the worse for it.</summary>
public sealed class PortTableTests
{
    private static readonly byte[] Trigger = Messages.Of(MessageType.TriggerService4, Messages.Trigger4("", "dom0", "SOCKET1", "mgmt.vm.List"));
    private static readonly byte[] End = Messages.Of(MessageType.DataStdin);
    private static readonly byte[] Call = [.. PortPeer.Greeting, .. Trigger, .. Messages.Of(MessageType.DataStdin, 1, 2, 3), .. End];
    private static readonly string[] WholeCall = ["marked", "opened 7", "called mgmt.vm.List", "input 3", "ended"];

    /// <summary>The state, and what leads to it.</summary>
    private static readonly (string State, byte[] Before)[] States =
    [
        ("idle", []), ("idle", PortPeer.Preamble(PortNonce.None)), ("hello", PortPeer.Preamble(new PortNonce(7))), ("trigger", PortPeer.Greeting), ("input", [.. PortPeer.Greeting, .. Trigger]), ("ended", Call),
    ];

    [Test]
    public void Every_message_in_every_state_is_taken_or_a_breach_and_never_both([Values(3u, 4u)] uint version)
    {
        foreach (var (state, before) in States)
        {
            var agreed = state is "idle" or "hello" ? 4 : (int)version;
            byte[] start = Of(before, version);
            foreach (var type in BadMessages.Types)
            {
                foreach (var length in BadMessages.Lengths(type, agreed))
                {
                    var what = $"{type} of {length} bytes in {state}, version {version}";
                    var message = BadMessages.Message(type, length, agreed);
                    var fresh = After(start, message);
                    var broken = fresh.Count(e => e.StartsWith("broken", StringComparison.Ordinal));
                    Assert.That(broken, Is.EqualTo(state == "idle" || Fits(state, type, length, agreed) ? 0 : 1), what);
                    Assert.That(broken == 1 || state == "idle" ? fresh.Where(e => !e.StartsWith("broken", StringComparison.Ordinal)) : [], Is.Empty, what);
                    // Twice, and byte by byte: whatever that is, the next call is read.
                    Assert.That(Read([.. start, .. message, .. message], Call).TakeLast(WholeCall.Length), Is.EqualTo(WholeCall), what);
                    if (message.Length < 300)
                    {
                        Assert.That(Read([.. start.Concat(message).Concat(Call).Select(b => new[] { b })]).TakeLast(WholeCall.Length), Is.EqualTo(WholeCall), what + ", byte by byte");
                    }
                }
            }
        }
    }

    [Test]
    public void A_message_cut_off_at_any_byte_means_nothing_and_gives_way_to_the_next_call()
    {
        foreach (var (state, before) in States)
        {
            foreach (var type in BadMessages.Types.Where(type => BadMessages.Bounds(type, 4) is not null))
            {
                var message = BadMessages.Message(type, Math.Max(BadMessages.Bounds(type, 4)!.Value.Min, 3), 4);
                for (var cut = 0; cut < message.Length; cut++)
                {
                    var fresh = After(before, message[..cut]);
                    Assert.That(fresh.Where(e => e.StartsWith("called", StringComparison.Ordinal) || e == "ended"), Is.Empty, $"{type} cut at {cut} in {state}");
                    Assert.That(Read([.. before, .. message[..cut]], Call).TakeLast(WholeCall.Length), Is.EqualTo(WholeCall), $"{type} cut at {cut} in {state}");
                }
            }
        }
    }

    /// <summary>All sequences of four of the messages that a guest has, against the diagram.</summary>
    [Test]
    public void Any_order_of_the_right_messages_goes_the_way_of_the_diagram()
    {
        (string Name, byte[] Bytes)[] messages =
        [
            ("hello", Messages.Hello(4)), ("hello 99", Messages.Hello(99)), ("hello 1", Messages.Hello(1)), ("trigger", Trigger),
            ("trigger3", Messages.Of(MessageType.TriggerService3, Messages.Trigger3("dom0", "SOCKET1", "mgmt.vm.List"))), ("data", Messages.Of(MessageType.DataStdin, 9)), ("end", End),
        ];
        for (var number = 0; number < messages.Length * messages.Length * messages.Length * messages.Length; number++)
        {
            int[] order = [number % 7, number / 7 % 7, number / 49 % 7, number / 343];
            var expected = new List<string>();
            var state = "hello";
            foreach (var (name, _) in order.Select(i => messages[i]))
            {
                (state, var told) = (state, name) switch
                {
                    ("hello", "hello" or "hello 99") => ("trigger", ""),
                    ("trigger", "trigger" or "trigger3") => ("input", "called mgmt.vm.List"),
                    ("input", "data") => ("input", "input 1"),
                    ("input", "end") => ("ended", "ended"),
                    ("broken", _) => ("broken", ""),
                    _ => ("broken", "broken"),
                };
                if (told == "input 1" && expected[^1].StartsWith("input", StringComparison.Ordinal))
                {
                    told = $"input {int.Parse(expected[^1].Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture) + 1}";
                    expected.RemoveAt(expected.Count - 1);
                }
                expected.AddRange(told.Length > 0 ? [told] : []);
            }
            var seen = After(PortPeer.Preamble(new PortNonce(7)), [.. order.SelectMany(i => messages[i].Bytes)]);
            var text = string.Join(", ", order.Select(i => messages[i].Name));
            Assert.That(seen.Select(e => e.StartsWith("broken", StringComparison.Ordinal) ? "broken" : e), Is.EqualTo(expected), text);
        }
    }

    [Test]
    public void A_nonce_may_be_anything_and_of_any_block()
    {
        foreach (var nonce in new[] { new PortNonce(UInt128.MaxValue), PortNonce.Read(PortMark.Bytes[1..].ToArray().Append((byte)0).ToArray()), new PortNonce(1) })
        {
            byte[] call = [.. PortPeer.Preamble(nonce), .. Call[32..]];
            for (var cut = 0; cut < 48; cut++)
            {
                Assert.That(Read(call[..cut], call[cut..])[^1], Is.EqualTo("ended"), $"{nonce.Value:x} cut at {cut}");
            }
        }
    }

    private static byte[] Of(byte[] before, uint version) => before.Length >= 44 ? [.. before[..40], .. BitConverter.GetBytes(version), .. Triggered(before[44..], version)] : before;

    /// <summary>The call that the version has.</summary>
    private static byte[] Triggered(byte[] rest, uint version) => version == 4 || rest.Length == 0
        ? rest
        : [.. Messages.Of(MessageType.TriggerService3, Messages.Trigger3("dom0", "SOCKET1", "mgmt.vm.List")), .. rest[Trigger.Length..]];

    private static bool Fits(string state, MessageType type, uint length, int version) => BadMessages.Bounds(type, version) is { } bounds && length >= bounds.Min && length <= bounds.Max && state switch
    {
        "hello" => type == MessageType.Hello,
        "trigger" => type is MessageType.TriggerService3 or MessageType.TriggerService4,
        "input" => type == MessageType.DataStdin,
        _ => false,
    };

    /// <summary>What came of the second that had not come of the first.</summary>
    private static List<string> After(byte[] first, byte[] second)
    {
        var before = Read(first).Count;
        return [.. Read(first, second).Skip(before)];
    }

    private static List<string> Read(params byte[][] blocks)
    {
        var events = new Recorder();
        var port = new PortProtocol(events);
        foreach (var block in blocks)
        {
            port.Feed(block);
        }
        return events.Seen;
    }

    private sealed class Recorder : IPortEvents
    {
        private int _input;

        public List<string> Seen { get; } = [];

        public void Marked() => Add("marked");

        public void Opened(PortNonce nonce) => Add($"opened {nonce.Value:x}");

        public void Called(TriggerService request) => Add("called " + (request.Service.StartsWith("xx", StringComparison.Ordinal) ? "xx" : request.Service));

        /// <summary>Parts that follow each other are one.</summary>
        public void Input(ReadOnlySpan<byte> bytes)
        {
            if (_input > 0)
            {
                Seen.RemoveAt(Seen.Count - 1);
            }
            _input += bytes.Length;
            Seen.Add($"input {_input}");
        }

        public void InputEnded() => Add("ended");

        public void Broken(string reason) => Add("broken " + reason);

        private void Add(string what)
        {
            _input = 0;
            Seen.Add(what);
        }
    }
}
