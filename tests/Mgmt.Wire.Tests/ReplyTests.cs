using System.Buffers;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Mgmt.Core;

namespace Mgmt.Wire.Tests;

public sealed class ReplyTests
{
    [Test]
    public void An_empty_success_is_two_bytes()
    {
        var output = new ArrayBufferWriter<byte>();
        ReplyWriter.WriteOk(output, []);
        Assert.Multiple(() =>
        {
            Assert.That(Convert.ToHexString(output.WrittenSpan), Is.EqualTo("3000"));
            Assert.That(((Reply.Ok)ReplyParser.Parse(output.WrittenMemory)).Content.IsEmpty);
        });
    }

    [TestCase("30006120620a", "a b\n")]
    [TestCase("300000", "\0")]
    [TestCase("3000c3a9", "\u00e9")]
    public void Content_is_everything_after_the_head(string hex, string text) =>
        Assert.That(((Reply.Ok)ReplyParser.Parse(Convert.FromHexString(hex))).Text, Is.EqualTo(text));

    [TestCase("", "Empty reply")]
    [TestCase("30", "Incomplete reply")]
    [TestCase("32", "Incomplete reply")]
    [TestCase("3041", "Unknown reply frame")]
    [TestCase("3300", "Unknown reply frame")]
    [TestCase("31000000", "event stream")]
    public void Other_bytes_are_no_reply(string hex, string reason)
    {
        var error = Assert.Throws<MgmtException>(() => ReplyParser.Parse(Convert.FromHexString(hex)));
        Assert.That((error.Code, error.Message.Contains(reason, StringComparison.Ordinal)), Is.EqualTo((ErrorCode.ProtocolError, true)), error.Message);
    }

    [Test]
    public void An_error_is_known_to_the_byte()
    {
        var bytes = Write(new MgmtException(ErrorCode.QubesVMNotFoundError, "No such domain: '%s'", "x"));
        var failure = (Reply.Failure)ReplyParser.Parse(bytes);
        Assert.Multiple(() =>
        {
            Assert.That(Encoding.ASCII.GetString(bytes), Is.EqualTo("2\0QubesVMNotFoundError\0\0No such domain: '%s'\0x\0"));
            Assert.That(failure.Message, Is.EqualTo("No such domain: 'x'"));
            Assert.That(failure.ToException().Code, Is.EqualTo(ErrorCode.QubesVMNotFoundError));
        });
    }

    [Test]
    public void An_error_cut_off_anywhere_is_incomplete()
    {
        var whole = Write(new MgmtException(ErrorCode.QubesException, "%s is 100%% of %s", "a%s", ""));
        for (var length = 1; length < whole.Length; length++)
        {
            var error = Assert.Throws<MgmtException>(() => ReplyParser.Parse(whole.AsMemory(0, length)), $"cut after {length} bytes");
            Assert.That(error.Message, Does.StartWith("Incomplete reply"));
        }
        Assert.That(((Reply.Failure)ReplyParser.Parse(whole)).Message, Is.EqualTo("a%s is 100% of "));
    }

    [TestCase("QubesDaemonAccessError", ErrorCode.PermissionDenied)]
    [TestCase("PermissionDenied", ErrorCode.PermissionDenied)]
    [TestCase("MgmtBusyError", ErrorCode.MgmtBusyError)]
    [TestCase("SomethingNew", ErrorCode.QubesException)]
    [TestCase("2", ErrorCode.QubesException)]
    [TestCase("PermissionDenied,ProtocolError", ErrorCode.QubesException)]
    [TestCase("", ErrorCode.QubesException)]
    public void The_type_of_an_error_becomes_a_code(string type, ErrorCode code) =>
        Assert.That(new Reply.Failure(type, "", "no", []).ToException().Code, Is.EqualTo(code));

    [TestCase("100% of %d", "100% of %d x")]
    [TestCase("50%", "50% x")]
    [TestCase("%s", "x")]
    [TestCase("%%s", "%s x")]
    public void A_template_of_another_make_is_shown_as_well_as_can_be(string template, string message)
    {
        var failure = new Reply.Failure("QubesException", "", template, ["x"]);
        Assert.That((failure.Message, failure.ToException().Message), Is.EqualTo((message, message)));
    }

    [Test]
    public void A_denial_has_another_name_in_the_other_dialect()
    {
        var output = new ArrayBufferWriter<byte>();
        ReplyWriter.WriteException(output, new MgmtException(ErrorCode.PermissionDenied, "Denied"), "", adminDialect: true);
        Assert.That(Encoding.ASCII.GetString(output.WrittenSpan), Is.EqualTo("2\0QubesDaemonAccessError\0\0Denied\0"));
    }

    [Test]
    public void A_nul_in_a_field_does_not_shift_the_frame()
    {
        var failure = (Reply.Failure)ReplyParser.Parse(Write(new MgmtException(ErrorCode.QubesValueError, "bad: %s", "a\0b\u00e9"), "t\0r"));
        Assert.That((failure.Traceback, failure.Message), Is.EqualTo(("t_r", "bad: a_b\u00e9")));
    }

    [Test]
    public void Every_error_that_is_written_is_read_back()
    {
        var error =
            from code in Gen.Elements(Enum.GetValues<ErrorCode>())
            from text in ArbMap.Default.GeneratorFor<NonNull<string>>()
            from fields in ArbMap.Default.GeneratorFor<NonNull<string>>().Select(field => Clean(field.Get)).ListOf()
            select new MgmtException(code, ErrorTemplate.Escape(Clean(text.Get)) + string.Concat(fields.Select(_ => " %s")), fields.ToArray());
        Prop.ForAll(error.ToArbitrary(), value =>
        {
            var read = (Reply.Failure)ReplyParser.Parse(Write(value));
            return read.Code == value.Code && read.Template == value.Template && read.Fields.SequenceEqual(value.Fields) && read.Message == value.Message;
        }).QuickCheckThrowOnFailure();
    }

    [Test]
    public void Any_bytes_give_a_value_or_a_protocol_error() =>
        AnyBytes.Check("0122\0\0\0%sa", bytes => _ = ReplyParser.Parse(bytes) is Reply.Failure failure ? failure.ToException().Message : "");

    private static byte[] Write(MgmtException error, string traceback = "")
    {
        var output = new ArrayBufferWriter<byte>();
        ReplyWriter.WriteException(output, error, traceback);
        return output.WrittenSpan.ToArray();
    }

    /// <summary>What survives UTF-8 and frames: no lone surrogates, no NUL.</summary>
    private static string Clean(string text) => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)).Replace("\0", "", StringComparison.Ordinal);
}
