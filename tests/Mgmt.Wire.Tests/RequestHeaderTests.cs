using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Mgmt.Core;

namespace Mgmt.Wire.Tests;

public sealed class RequestHeaderTests
{
    private const string Word = "abzAZ09._-";

    [TestCase("mgmt.vm.List dom0 name dom0", "mgmt.vm.List", "", "dom0", DestinationKind.Name, "dom0")]
    [TestCase("admin.vm.List+ dom0 name dom0", "admin.vm.List", "", "dom0", DestinationKind.Name, "dom0")]
    [TestCase("admin.vm.List+ mgmt keyword adminvm", "admin.vm.List", "", "mgmt", DestinationKind.Keyword, "adminvm")]
    [TestCase("mgmt.vm.List mgmt keyword default", "mgmt.vm.List", "", "mgmt", DestinationKind.Keyword, "default")]
    [TestCase("mgmt.vm.device.pci.Detach+sys-net+00_1f.2+x dom0 name work", "mgmt.vm.device.pci.Detach", "sys-net+00_1f.2+x", "dom0", DestinationKind.Name, "work")]
    [TestCase("a+b c name uuid:0f0e0d0c-0000-0000-0000-000000000001", "a", "b", "c", DestinationKind.Name, "uuid:0f0e0d0c-0000-0000-0000-000000000001")]
    public void A_header_is_read(string text, string method, string argument, string source, DestinationKind kind, string destination) =>
        Assert.That(Parse(text), Is.EqualTo(new RequestHeader(method, argument, source, kind, destination)));

    [TestCase("", "missing fields, 1 of 4")]
    [TestCase("mgmt.vm.List dom0 name", "missing fields, 3 of 4")]
    [TestCase("mgmt.vm.List dom0 name dom0 x", "too many fields, 5")]
    [TestCase("mgmt.vm.List dom0 name dom0 ", "too many fields, 5")]
    [TestCase("+x dom0 name dom0", "method is empty")]
    [TestCase(" dom0 name dom0", "method is empty")]
    [TestCase("mgmt/vm dom0 name dom0", "the method holds")]
    [TestCase("m+a:b dom0 name dom0", "the argument holds")]
    [TestCase("m  name dom0", "field 2 (source) is empty")]
    [TestCase("m dom0 name ", "field 4 (destination) is empty")]
    [TestCase("m dom0 Name dom0", "field 3")]
    [TestCase("m dom0 uuid dom0", "field 3")]
    [TestCase("m dom0 keyword dispvm", "unknown keyword")]
    [TestCase("m dom0 keyword ", "field 4 (destination) is empty")]
    [TestCase("m dom\t0 name dom0", "control character at byte 5")]
    [TestCase("m dom0 name work\n", "control character at byte 16")]
    [TestCase("m d\u00f6m0 name dom0", "byte 3 is not ASCII")]
    public void A_bad_header_is_refused_with_what_and_where(string text, string reason)
    {
        var error = Assert.Throws<MgmtException>(() => Parse(text));
        Assert.Multiple(() =>
        {
            Assert.That(error.Code, Is.EqualTo(ErrorCode.ProtocolError));
            Assert.That(error.Message, Does.Contain(reason));
        });
    }

    [Test]
    public void Lengths_are_held_to_the_byte()
    {
        var name = new string('n', RequestHeader.MaxNameLength);
        var full = $"m+{new string('a', RequestHeader.MaxHeaderBytes - 17)} dom0 name dom0";
        Assert.Multiple(() =>
        {
            Assert.That(Parse($"m {name} name {name}").Source, Is.EqualTo(name));
            Assert.Throws<MgmtException>(() => Parse($"m {name}n name dom0"));
            Assert.That(full, Has.Length.EqualTo(RequestHeader.MaxHeaderBytes));
            Assert.That(Parse(full).ToBytes(), Has.Length.EqualTo(RequestHeader.MaxHeaderBytes + 1));
            Assert.Throws<MgmtException>(() => Parse("m+a" + full[2..]));
        });
    }

    [Test]
    public void Known_bytes_are_written()
    {
        Assert.Multiple(() =>
        {
            Assert.That(Encoding.ASCII.GetString(RequestHeader.ToDom0("admin.vm.List", "").ToBytes()), Is.EqualTo("admin.vm.List+ dom0 name dom0\0"));
            Assert.That(Convert.ToHexStringLower(new RequestHeader("a.b", "c", "x", DestinationKind.Keyword, "adminvm").ToBytes()),
                Is.EqualTo("612e622b632078206b6579776f72642061646d696e766d00"));
        });
    }

    [TestCase("a b", "", "dom0", "dom0")]
    [TestCase("a", "b c", "dom0", "dom0")]
    [TestCase("a", "", "dom0 name x\0", "dom0")]
    [TestCase("a", "", "dom0", "w\u00f6rk")]
    public void Nothing_is_written_that_would_be_read_as_something_else(string method, string argument, string source, string destination) =>
        Assert.That(Assert.Throws<MgmtException>(() => new RequestHeader(method, argument, source, DestinationKind.Name, destination).ToBytes())!.Code,
            Is.EqualTo(ErrorCode.ProtocolError));

    [Test]
    public void Every_cut_of_a_header_is_a_value_or_a_protocol_error()
    {
        var whole = "mgmt.vm.property.Set+memory dom0 name work"u8.ToArray();
        for (var length = 0; length < whole.Length; length++)
        {
            AnyBytes.GiveAValueOrAProtocolError(() => RequestHeader.Parse(whole.AsSpan(0, length)));
        }
    }

    [Test]
    public void What_is_written_is_read_back()
    {
        var header =
            from method in Text(Word, 1, 40)
            from argument in Text(Word + "+", 0, 60)
            from source in Text(Word + ":@", 1, 64)
            from keyword in Gen.Elements("", "adminvm", "default")
            from destination in Text(Word + ":@", 1, 64)
            select keyword.Length > 0
                ? new RequestHeader(method, argument, source, DestinationKind.Keyword, keyword)
                : new RequestHeader(method, argument, source, DestinationKind.Name, destination);
        Prop.ForAll(header.ToArbitrary(), value => RequestHeader.Parse(value.ToBytes().AsSpan()[..^1]) == value).QuickCheckThrowOnFailure();
    }

    [Test]
    public void Any_bytes_give_a_value_or_a_protocol_error() =>
        AnyBytes.Check("mgm.+ -name keyword\0\u007f", bytes => RequestHeader.Parse(bytes));

    private static RequestHeader Parse(string text) => RequestHeader.Parse(Encoding.Latin1.GetBytes(text));

    private static Gen<string> Text(string alphabet, int min, int max) =>
        from length in Gen.Choose(min, max)
        from chars in Gen.Elements(alphabet.ToCharArray()).ArrayOf(length)
        select new string(chars);
}
