using System.Buffers;
using System.Text;
using FsCheck;
using FsCheck.Fluent;

namespace Mgmt.Qrexec.Tests;

/// <summary>The bytes are those of a call that an unmodified agent and client of Qubes OS 4.3 made.</summary>
public sealed class MessageTests
{
    private static readonly string TriggerBody = new string('0', 128) + Hex("dom0", 64) + Hex("SOCKET13", 32) + Hex("mgmt.vm.List+a1", 16);

    [Test]
    public void A_hello_is_twelve_bytes()
    {
        var output = new ArrayBufferWriter<byte>();
        new Hello(4).Write(output);
        Assert.That(Convert.ToHexString(output.WrittenSpan), Is.EqualTo("000300000400000004000000"));
    }

    [TestCase(2u, 2)]
    [TestCase(3u, 3)]
    [TestCase(4u, 4)]
    [TestCase(99u, 4)]
    public void The_version_spoken_is_the_smaller_one(uint theirs, int agreed) => Assert.That(Hello.Parse(BitConverter.GetBytes(theirs)).Agreed, Is.EqualTo(agreed));

    [TestCase(0u)]
    [TestCase(1u)]
    public void A_version_that_nobody_speaks_any_more_is_refused(uint version) => Assert.Throws<QrexecProtocolException>(() => Hello.Parse(BitConverter.GetBytes(version)));

    [Test]
    public void A_call_of_a_guest_is_read_as_it_was_made()
    {
        var header = MessageHeader.TryRead(Convert.FromHexString("13020000b0000000"), 4);
        Assert.That(header, Is.EqualTo(new MessageHeader(MessageType.TriggerService4, 176)));
        var call = TriggerService.Parse(header!.Value.Type, Convert.FromHexString(TriggerBody));
        Assert.Multiple(() =>
        {
            Assert.That(call.ClaimedSource, Is.Empty);
            Assert.That(call.Target, Is.EqualTo("dom0"));
            Assert.That(call.Ident!.Value.Text, Is.EqualTo("SOCKET13"));
            Assert.That(call.Service, Is.EqualTo("mgmt.vm.List+a1"));
            Assert.That(call.IsWellFormed);
        });
    }

    [Test]
    public void The_answer_names_the_data_channel()
    {
        var output = new ArrayBufferWriter<byte>();
        ExecParameters.WriteConnect(output, 0, 513, CallIdent.TryParse(Convert.FromHexString(Hex("SOCKET13", 32)))!.Value);
        Assert.That(Convert.ToHexString(output.WrittenSpan), Is.EqualTo(("0202000028000000" + "0000000001020000" + Hex("SOCKET13", 32)).ToUpperInvariant()));
        Assert.That(ExecParameters.ParseTerminated(Convert.FromHexString("0000000001020000")), Is.EqualTo((0u, 513u)));
    }

    [Test]
    public void A_command_line_ends_with_a_nul_and_holds_none()
    {
        var output = new ArrayBufferWriter<byte>();
        ExecParameters.WriteExec(output, MessageType.ExecCommandLine, 0, 514, "user:ls");
        Assert.That(Convert.ToHexString(output.WrittenSpan), Is.EqualTo("0002000010000000" + "0000000002020000" + "757365723A6C7300"));
        Assert.Throws<ArgumentException>(() => ExecParameters.WriteExec(output, MessageType.JustExec, 0, 514, "a\0b"));
        Assert.Throws<ArgumentException>(() => ExecParameters.WriteExec(output, MessageType.JustExec, 0, 514, new string('x', 65535)));
    }

    [Test]
    public void A_call_cut_off_at_any_byte_is_refused_or_is_no_call()
    {
        var whole = Convert.FromHexString(TriggerBody);
        for (var length = 0; length < whole.Length; length++)
        {
            var cut = whole.AsSpan(0, length).ToArray();
            if (length <= 160)
            {
                Assert.Throws<QrexecProtocolException>(() => TriggerService.Parse(MessageType.TriggerService4, cut));
            }
            else
            {
                Assert.That(TriggerService.Parse(MessageType.TriggerService4, cut).IsWellFormed, Is.False, $"{length} bytes");
            }
        }
    }

    [TestCase(MessageType.Hello, 0u)]
    [TestCase(MessageType.Hello, 5u)]
    [TestCase(MessageType.DataStdin, 65537u)]
    [TestCase(MessageType.DataExitCode, 3u)]
    [TestCase(MessageType.ServiceConnect, 39u)]
    [TestCase(MessageType.ServiceRefused, 33u)]
    [TestCase(MessageType.ConnectionTerminated, 9u)]
    [TestCase(MessageType.TriggerService4, 160u)]
    [TestCase(MessageType.TriggerService4, 160u + 65001u)]
    [TestCase(MessageType.TriggerService, 128u)]
    [TestCase((MessageType)0x999, 0u)]
    [TestCase(MessageType.DataStdout, uint.MaxValue)]
    public void A_body_that_its_type_cannot_have_is_refused_before_it_is_read(MessageType type, uint length)
    {
        var output = new ArrayBufferWriter<byte>();
        new MessageHeader(type, length).Write(output);
        Assert.Throws<QrexecProtocolException>(() => MessageHeader.TryRead(output.WrittenSpan, 4));
    }

    [Test]
    public void Version_two_has_its_own_call_and_shorter_data()
    {
        Assert.That(MessageHeader.TryRead(Convert.FromHexString("1002000080000000"), 2), Is.EqualTo(new MessageHeader(MessageType.TriggerService, 128)));
        var call = TriggerService.Parse(MessageType.TriggerService, Convert.FromHexString(Hex("mgmt.vm.List", 64) + Hex("dom0", 32) + Hex("SOCKET1", 32)));
        Assert.That((call.Service, call.Target, call.Ident!.Value.Text), Is.EqualTo(("mgmt.vm.List", "dom0", "SOCKET1")));
        Assert.Throws<QrexecProtocolException>(() => MessageHeader.TryRead(Convert.FromHexString("9001000001100000"), 2));
    }

    [TestCase("a b/c", "a_b_c")]
    [TestCase("@dispvm:x", "@dispvm:x")]
    public void Names_are_cleaned(string target, string expected)
    {
        var body = new string('0', 128) + Hex(target, 64) + Hex("SOCKET13", 32) + Hex("x", 2);
        Assert.That(TriggerService.Parse(MessageType.TriggerService4, Convert.FromHexString(body)).Target, Is.EqualTo(expected));
    }

    [TestCase("")]
    [TestCase("+a")]
    [TestCase("a\0b")]
    public void A_call_without_a_good_service_is_to_be_refused(string service)
    {
        var body = new string('0', 128) + Hex("dom0", 64) + Hex("SOCKET13", 32) + Hex(service, service.Length + 1);
        Assert.That(TriggerService.Parse(MessageType.TriggerService4, Convert.FromHexString(body)).IsWellFormed, Is.False);
    }

    [TestCase("SOCKET13\0x")]
    [TestCase("")]
    [TestCase("a/b")]
    public void An_ident_that_is_none_is_to_be_refused(string ident) => Assert.That(CallIdent.TryParse(Convert.FromHexString(Hex(ident, 32))), Is.Null);

    [Test]
    public void Any_bytes_give_a_message_or_the_protocols_own_error() => Prop.ForAll<byte[]>(bytes =>
    {
        try
        {
            if (MessageHeader.TryRead(bytes, 4) is { } header && header.Type is MessageType.TriggerService3 or MessageType.TriggerService4)
            {
                TriggerService.Parse(header.Type, bytes.AsSpan(8));
            }
        }
        catch (QrexecProtocolException)
        {
            // What a peer that breaks the protocol gets.
        }
        CallIdent.TryParse(bytes);
    }).QuickCheckThrowOnFailure();

    private static string Hex(string text, int size)
    {
        var bytes = new byte[size];
        Encoding.ASCII.GetBytes(text, bytes);
        return Convert.ToHexString(bytes);
    }
}
