using System.Text;

namespace Mgmt.Policy.Tests;

/// <summary>`!compat-4.0`.</summary>
[TestFixture]
public sealed class LegacyTests
{
    [Test]
    public void Files_are_read_by_service_and_argument_and_the_plain_one_last()
    {
        var set = Load(("b", "* * deny"), ("a+y", "work vault allow"), ("a", "* * ask"), ("a+", "work vault allow"), ("a+x", "work vault allow")).Set!;
        Assert.That(set.Files, Is.EqualTo(new[] { "30-x.policy", "/old/a+", "/old/a+x", "/old/a+y", "/old/a", "/old/b" }));
        Assert.That(Sets.Ask(set, "work", "vault", "a", "+x").Rule, Is.EqualTo("/old/a+x:1"));
        Assert.That(Sets.Ask(set, "work", "vault", "a").Rule, Is.EqualTo("/old/a+:1"));
        Assert.That(Sets.Ask(set, "work", "vault", "a", "+z").Rule, Is.EqualTo("/old/a:1"));
    }

    [TestCase("vault")]
    [TestCase("dom0")]
    [TestCase("@dispvm")]
    public void What_a_file_for_an_argument_does_not_say_is_denied(string target)
    {
        var set = Load(("a+x", "work work allow"), ("a", "* * allow")).Set!;
        Assert.That(Sets.Ask(set, "work", target, "a", "+x"), Is.EqualTo(new PolicyDecision.Deny(DenyReason.Rule, "denied by policy /old/a+x:None") { Rule = "/old/a+x:None", Notify = true }));
    }

    [Test]
    public void A_plain_file_leaves_the_rest_to_the_rules_after_it()
    {
        var set = Load(("a", "work work allow")).Set!;
        Assert.That(Sets.Ask(set, "work", "vault", "a").Rule, Is.EqualTo("30-x.policy:2"));
    }

    [Test]
    public void Names_that_are_none_are_passed_over() =>
        Assert.That(Load(("a.rpmsave", "oops"), ("a.rpmnew", "oops"), (".a.swp", "oops"), (".a", "oops"), ("a~", "oops"), ("a b", "oops"), ("below/a", "oops")).Set!.Files, Is.EqualTo(new[] { "30-x.policy" }));

    [Test]
    public void Includes_start_from_the_old_directory()
    {
        var set = Load(("a", "$include:common"), ("common", "$tag:team $anyvm allow,target=vault")).Set!;
        Assert.That(Sets.Ask(set, "work", "mgmt", "a"), Is.EqualTo(new PolicyDecision.Allow("vault", null, true) { Rule = "/old/common:1" }));
    }

    [Test]
    public void A_mistake_is_told_with_its_text_because_the_directory_is_one_of_the_policy() =>
        Assert.That(Load(("a", "\nwork vault maybe")).Errors.Single().ToString(), Does.StartWith("/old/a:2:12: invalid action 'maybe'"));

    private static PolicyLoad Load(params (string Name, string Text)[] files)
    {
        var all = files.Select(file => ("/old/" + file.Name, file.Text)).Append(("/etc/p/30-x.policy", "!compat-4.0\na * * * deny"));
        var source = PolicySource.FromFiles(all.ToDictionary(file => file.Item1, file => (ReadOnlyMemory<byte>)Encoding.UTF8.GetBytes(file.Item2)), "/etc/p");
        return PolicySet.Load(source, Sets.Pure with { LegacyDirectory = "/old" });
    }
}
