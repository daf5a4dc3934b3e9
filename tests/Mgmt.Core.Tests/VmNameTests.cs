using Mgmt.Core;

namespace Mgmt.Core.Tests;

public sealed class VmNameTests
{
    [TestCase("work")]
    [TestCase("sys-net")]
    [TestCase("a")]
    [TestCase("A.b_c-9")]
    [TestCase("aaaaaaaaaabbbbbbbbbbccccccccccd")]
    public void A_good_name_is_kept_as_it_is(string name) => Assert.That(VmName.Parse(name).Value, Is.EqualTo(name));

    [TestCase("", "empty")]
    [TestCase("aaaaaaaaaabbbbbbbbbbccccccccccdd", "shorter than 32")]
    [TestCase("-a", "cannot start")]
    [TestCase("9a", "cannot start")]
    [TestCase("a/b", "illegal")]
    [TestCase("a b", "illegal")]
    [TestCase("Domain-0", "Domain-0")]
    [TestCase("none", "none")]
    [TestCase("default", "none")]
    [TestCase("work-dm", "-dm")]
    public void A_bad_name_is_refused_with_the_reason(string name, string reason)
    {
        var error = Assert.Throws<MgmtException>(() => VmName.Parse(name));
        Assert.Multiple(() =>
        {
            Assert.That(error.Code, Is.EqualTo(ErrorCode.QubesValueError));
            Assert.That(error.Message, Does.Contain(reason));
        });
    }
}
