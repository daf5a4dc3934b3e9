namespace Mgmt.Qrexec.Tests;

/// <summary>Data channels, from both sides.</summary>
public sealed class DataProtocolTests
{
    [Test]
    public void The_input_of_a_call_is_read_in_any_blocks()
    {
        byte[] whole = [.. Messages.Hello(4), .. Messages.Of(MessageType.DataStdin, "hi\n"u8.ToArray()), .. Messages.Of(MessageType.DataStdin)];
        for (var cut = 0; cut <= whole.Length; cut++)
        {
            Assert.That(string.Concat(Read(true, whole[..cut], whole[cut..])), Is.EqualTo("[greeted 4]hi\n[end of DataStdin]"), $"cut at {cut}");
        }
    }

    [Test]
    public void The_output_of_a_service_is_read_with_its_exit_code()
    {
        var seen = Read(false, Messages.Hello(3), Messages.Of(MessageType.DataStderr), Messages.Of(MessageType.DataStdout, "x"u8.ToArray()), Messages.Of(MessageType.DataStdout),
            Messages.Of(MessageType.DataExitCode, BitConverter.GetBytes(-5)));
        Assert.That(string.Concat(seen), Is.EqualTo("[greeted 3][end of DataStderr]x[end of DataStdout][exit -5]"));
    }

    /// <summary>What may come, by type: h before HELLO, o after it, e after the end of that stream, x after the exit code.</summary>
    [TestCase(true, MessageType.Hello, "h")]
    [TestCase(true, MessageType.DataStdin, "ox")]
    [TestCase(true, MessageType.DataStdout, "ox")]
    [TestCase(true, MessageType.DataStderr, "oex")]
    [TestCase(true, MessageType.DataExitCode, "oex")]
    [TestCase(true, MessageType.TriggerService4, "")]
    [TestCase(true, MessageType.ServiceConnect, "")]
    [TestCase(false, MessageType.Hello, "h")]
    [TestCase(false, MessageType.DataStdin, "")]
    [TestCase(false, MessageType.DataStdout, "o")]
    [TestCase(false, MessageType.DataStderr, "o")]
    [TestCase(false, MessageType.DataExitCode, "oe")]
    [TestCase(false, MessageType.ExecCommandLine, "")]
    public void A_message_comes_where_it_may(bool isService, MessageType type, string where)
    {
        byte[] body = type switch
        {
            MessageType.TriggerService4 => Messages.Trigger4("", "dom0", "S", "x"),
            MessageType.ServiceConnect => new byte[40],
            MessageType.ExecCommandLine => new byte[9],
            _ => [4, 0, 0, 0],
        };
        foreach (var state in "hoex")
        {
            byte[] before = state == 'h' ? [] : Messages.Hello(4);
            if (state == 'e')
            {
                byte[] ends = [.. Messages.Of(MessageType.DataStdout), .. isService ? [] : Messages.Of(MessageType.DataStderr)];
                before = [.. before, .. ends];
            }
            if (state == 'x')
            {
                before = [.. before, .. Messages.Of(MessageType.DataExitCode, 0, 0, 0, 0)];
            }
            Assert.That(() => Read(isService, before, Messages.Of(type, body)), where.Contains(state) ? Throws.Nothing : Throws.TypeOf<QrexecProtocolException>(), $"state {state}");
        }
    }

    [TestCase(2u, 4096u, true)]
    [TestCase(2u, 4097u, false)]
    [TestCase(3u, 65536u, true)]
    [TestCase(3u, 65537u, false)]
    [TestCase(4u, 0u, true)]
    [TestCase(4u, uint.MaxValue, false)]
    public void A_body_is_as_long_as_its_version_lets_it(uint version, uint length, bool fits)
    {
        byte[] header = [.. BitConverter.GetBytes((uint)MessageType.DataStdin), .. BitConverter.GetBytes(length)];
        Assert.That(() => Read(true, Messages.Hello(version), header), fits ? Throws.Nothing : Throws.TypeOf<QrexecProtocolException>());
    }

    [Test]
    public void Data_is_written_in_pieces_of_its_version()
    {
        var written = Messages.Written(output => DataWriter.Write(output, MessageType.DataStdout, new byte[5000], DataProtocol.MaxBody(2)));
        Assert.That(written, Is.EqualTo((byte[])[.. Messages.Of(MessageType.DataStdout, new byte[4096]), .. Messages.Of(MessageType.DataStdout, new byte[904])]));
        Assert.That(Messages.Written(output => DataWriter.WriteEnd(output, MessageType.DataStdout)), Is.EqualTo(Convert.FromHexString("9101000000000000")));
        Assert.That(Messages.Written(output => DataWriter.WriteExitCode(output, 5)), Is.EqualTo(Convert.FromHexString("930100000400000005000000")));
    }

    private static List<string> Read(bool isService, params byte[][] blocks)
    {
        var events = new Recorder();
        var data = new DataProtocol(events, isService);
        foreach (var block in blocks)
        {
            data.Feed(block);
        }
        return events.Seen;
    }

    private sealed class Recorder : IDataEvents
    {
        public List<string> Seen { get; } = [];

        public void Greeted(int version) => Seen.Add($"[greeted {version}]");

        public void Received(MessageType stream, ReadOnlySpan<byte> bytes) => Seen.Add(System.Text.Encoding.ASCII.GetString(bytes));

        public void Ended(MessageType stream) => Seen.Add($"[end of {stream}]");

        public void Exited(int code) => Seen.Add($"[exit {code}]");
    }
}
