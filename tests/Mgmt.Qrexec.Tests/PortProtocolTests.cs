using System.Buffers;
using System.Text;

namespace Mgmt.Qrexec.Tests;

/// <summary>What a guest may send on a port, and everything it may not.</summary>
public sealed class PortProtocolTests
{
    private static readonly PortNonce Nonce = new(0x0102030405060708);
    private static readonly byte[] Greeting = [.. Preamble(Nonce), .. Message(MessageType.Hello, 4, 0, 0, 0)];
    private static readonly byte[] Trigger = Message(MessageType.TriggerService4, Trigger4("mgmt.vm.List+a1"));
    private static readonly byte[] Call = [.. Greeting, .. Trigger, .. Message(MessageType.DataStdin, 1, 2, 3), .. Message(MessageType.DataStdin)];
    private static readonly string[] WholeCall = ["marked", $"opened {Nonce.Value:x}", "called mgmt.vm.List+a1", "input 010203", "ended"];

    [Test]
    public void A_call_is_read_as_it_was_sent() => Assert.That(Read(Call), Is.EqualTo(WholeCall));

    [Test]
    public void A_call_may_come_in_any_two_blocks_and_byte_by_byte()
    {
        for (var cut = 0; cut <= Call.Length; cut++)
        {
            Assert.That(Read(Call[..cut], Call[cut..]), Is.EqualTo(WholeCall), $"cut at {cut}");
        }
        Assert.That(Read([.. Call.Select(b => new[] { b })]), Is.EqualTo(WholeCall));
    }

    [Test]
    public void A_call_cut_off_at_any_byte_gives_way_to_the_next_one()
    {
        for (var cut = 0; cut < Call.Length; cut++)
        {
            var seen = Read(Call[..cut], Call);
            Assert.That(seen.TakeLast(WholeCall.Length), Is.EqualTo(WholeCall), $"cut at {cut}");
            Assert.That(Read([.. Call[..cut].Concat(Call).Select(b => new[] { b })]).TakeLast(WholeCall.Length), Is.EqualTo(WholeCall), $"cut at {cut}, byte by byte");
        }
    }

    [Test]
    public void What_comes_before_a_mark_is_thrown_away()
    {
        var events = new Recorder();
        var port = new PortProtocol(events);
        port.Feed(new byte[1000]);
        Assert.That(port.SkippedBytes, Is.EqualTo(1000));
        Assert.That(events.Seen, Is.Empty);
        port.Feed(Call);
        Assert.That(events.Seen, Is.EqualTo(WholeCall));
        Assert.That(port.SkippedBytes, Is.Zero);
    }

    [Test]
    public void An_announcement_ends_what_was_and_begins_nothing()
    {
        byte[] announced = [.. Greeting, .. Preamble(PortNonce.None), .. Trigger];
        Assert.That(Read(announced), Is.EqualTo(new[] { "marked", $"opened {Nonce.Value:x}", "marked" }));
    }

    [TestCase(4u, true)]
    [TestCase(3u, true)]
    [TestCase(99u, true)]
    [TestCase(2u, false)]
    [TestCase(1u, false)]
    [TestCase(0u, false)]
    [TestCase(uint.MaxValue, true)]
    public void Versions_from_3_on_are_spoken(uint version, bool isSpoken)
    {
        var seen = Read([.. Preamble(Nonce), .. Message(MessageType.Hello, BitConverter.GetBytes(version)), .. Message(MessageType.TriggerService3, Trigger3("x"))]);
        Assert.That(seen[^1], isSpoken ? Is.EqualTo("called x") : Does.StartWith("broken"));
    }

    [Test]
    public void Version_3_has_no_call_of_version_4()
    {
        Assert.That(Read([.. Preamble(Nonce), .. Message(MessageType.Hello, 3, 0, 0, 0), .. Trigger])[^1], Does.StartWith("broken"));
    }

    /// <summary>Every type in every state: what the table of docs/guest-channels.md has not is a breach, and the next call is not the worse for it.</summary>
    [Test]
    public void A_message_out_of_its_state_is_a_breach([Values] MessageType type, [Values("hello", "trigger", "input", "ended")] string state)
    {
        var before = state switch
        {
            "hello" => Preamble(Nonce),
            "trigger" => Greeting,
            "input" => [.. Greeting, .. Trigger],
            _ => Call,
        };
        var isRight = (state, type) switch
        {
            ("hello", MessageType.Hello) => true,
            ("trigger", MessageType.TriggerService3 or MessageType.TriggerService4) => true,
            ("input", MessageType.DataStdin) => true,
            _ => false,
        };
        byte[] message = Message(type, Body(type));
        Assert.That(Read(before, message).Any(e => e.StartsWith("broken", StringComparison.Ordinal)), Is.EqualTo(!isRight));
        Assert.That(Read(before, message, message, Call).TakeLast(WholeCall.Length), Is.EqualTo(WholeCall));
    }

    [Test]
    public void A_length_that_its_type_cannot_have_is_a_breach_before_its_body_comes(
        [Values(MessageType.Hello, MessageType.TriggerService4, MessageType.DataStdin)] MessageType type, [Values(0u, 1u, 65536u, 65537u, 65160u, 65161u, uint.MaxValue)] uint length)
    {
        var (before, fits) = type switch
        {
            MessageType.Hello => (Preamble(Nonce), length == 4),
            MessageType.TriggerService4 => (Greeting, length is > 160 and <= 65160),
            _ => ([.. Greeting, .. Trigger], length <= 65536),
        };
        byte[] header = [.. BitConverter.GetBytes((uint)type), .. BitConverter.GetBytes(length)];
        Assert.That(Read(before, header).Any(e => e.StartsWith("broken", StringComparison.Ordinal)), Is.EqualTo(!fits));
    }

    [Test]
    public void Nothing_is_taken_after_a_breach_until_the_next_mark()
    {
        var seen = Read([.. Greeting, .. Message(MessageType.DataStdin, 1)], [.. Trigger, .. Message(MessageType.DataStdin, 1)]);
        Assert.That(seen, Has.Count.EqualTo(3));
        Assert.That(seen[2], Does.StartWith("broken"));
    }

    [Test]
    public void A_name_of_64000_bytes_and_one_with_a_nul_are_read()
    {
        var name = new string('x', 64_000);
        Assert.That(Read([.. Greeting, .. Message(MessageType.TriggerService4, Trigger4(name))])[^1], Is.EqualTo("called " + name));
        Assert.That(Read([.. Greeting, .. Message(MessageType.TriggerService4, Trigger4("a\0b"))])[^1], Is.EqualTo("called "));
    }

    /// <summary>Whatever the data: none of what is written on a port looks like a mark, and the reader gets back what went in.</summary>
    [Test]
    public void Data_that_holds_marks_ends_no_call()
    {
        var random = new Random(1);
        for (var i = 0; i < 200; i++)
        {
            var data = WithMarks(random);
            var output = new ArrayBufferWriter<byte>();
            DataWriter.Write(output, MessageType.DataStdin, data, random.Next(1, 65537));
            var written = output.WrittenSpan.ToArray();
            Assert.That(written.AsSpan().IndexOf(PortMark.Bytes), Is.LessThan(0));
            var events = new Recorder();
            var port = new PortProtocol(events);
            port.Feed([.. Greeting, .. Trigger]);
            var cut = random.Next(written.Length);
            port.Feed(written.AsSpan(0, cut));
            port.Feed(written.AsSpan(cut));
            Assert.That(events.Seen.Count(e => e == "marked"), Is.EqualTo(1));
            Assert.That(events.Bytes.ToArray(), Is.EqualTo(data));
        }
    }

    [Test]
    public void Any_bytes_at_all_lead_to_no_exception_and_the_next_call_is_read()
    {
        var random = new Random(2);
        for (var i = 0; i < 500; i++)
        {
            var noise = new byte[random.Next(200)];
            random.NextBytes(noise);
            byte[] before = random.Next(3) switch { 0 => [], 1 => Greeting, _ => [.. Greeting, .. Trigger] };
            Assert.That(Read(before, noise, Call).TakeLast(WholeCall.Length), Is.EqualTo(WholeCall));
        }
    }

    private static byte[] WithMarks(Random random)
    {
        var data = new byte[random.Next(1, 400)];
        random.NextBytes(data);
        for (var n = random.Next(4); n > 0; n--)
        {
            var length = Math.Min(random.Next(1, PortMark.Size + 1), data.Length);
            PortMark.Bytes[^length..].CopyTo(data.AsSpan(random.Next(data.Length - length + 1)));
            length = Math.Min(PortMark.Size, data.Length);
            PortMark.Bytes[..length].CopyTo(data.AsSpan(random.Next(data.Length - length + 1)));
        }
        return data;
    }

    private static List<string> Read(params byte[][] blocks)
    {
        var events = new Recorder();
        var port = new PortProtocol(events);
        foreach (var block in blocks)
        {
            port.Feed(block);
        }
        return events.Joined;
    }

    private static byte[] Preamble(PortNonce nonce)
    {
        var output = new ArrayBufferWriter<byte>();
        DataWriter.WritePreamble(output, nonce);
        return output.WrittenSpan.ToArray();
    }

    private static byte[] Message(MessageType type, params byte[] body) => Messages.Of(type, body);

    private static byte[] Body(MessageType type) => type switch
    {
        MessageType.Hello => [4, 0, 0, 0],
        MessageType.TriggerService => new byte[128],
        MessageType.TriggerService3 => Trigger3("y"),
        MessageType.TriggerService4 => Trigger4("y"),
        MessageType.ExecCommandLine or MessageType.JustExec => new byte[9],
        MessageType.ServiceConnect => new byte[40],
        MessageType.ServiceRefused => new byte[32],
        MessageType.ConnectionTerminated => new byte[8],
        _ => new byte[4],
    };

    private static byte[] Trigger3(string service) => Messages.Trigger3("dom0", "SOCKET1", service);

    private static byte[] Trigger4(string service) => Messages.Trigger4("", "dom0", "SOCKET1", service);

    private sealed class Recorder : IPortEvents
    {
        public List<string> Seen { get; } = [];

        public List<byte> Bytes { get; } = [];

        /// <summary>The events, parts of input that follow each other as one.</summary>
        public List<string> Joined
        {
            get
            {
                var joined = new List<string>();
                foreach (var seen in Seen)
                {
                    if (seen.StartsWith("input", StringComparison.Ordinal) && joined.Count > 0 && joined[^1].StartsWith("input", StringComparison.Ordinal))
                    {
                        joined[^1] += seen["input ".Length..];
                    }
                    else
                    {
                        joined.Add(seen);
                    }
                }
                return joined;
            }
        }

        public void Marked() => Seen.Add("marked");

        public void Opened(PortNonce nonce) => Seen.Add($"opened {nonce.Value:x}");

        public void Called(TriggerService request) => Seen.Add("called " + request.Service);

        public void Input(ReadOnlySpan<byte> bytes)
        {
            Bytes.AddRange(bytes);
            Seen.Add("input " + Convert.ToHexString(bytes));
        }

        public void InputEnded() => Seen.Add("ended");

        public void Broken(string reason) => Seen.Add("broken " + reason);
    }
}
