namespace Mgmt.Policy.Tests;

[TestFixture]
public sealed class AskTests
{
    [Test]
    public void Ask_offers_what_the_rules_allow_or_ask_but_not_the_source_or_hidden_vms() =>
        Assert.That(Targets("work", "s * work @default ask", "s * work @tag:secret deny", "s * work @type:AppVM allow"), Is.EqualTo("dvm,mgmt"));

    [Test]
    public void Ask_with_a_redirect_offers_only_it() =>
        Assert.That(Targets("work", "s * work * ask target=@adminvm", "s * work * allow"), Is.EqualTo("dom0"));

    [TestCase("@adminvm", "* ", "dom0")]
    [TestCase("dom0", "@adminvm", "dom0")]
    [TestCase("dom0", "@type:AdminVM", "dom0")]
    [TestCase("@dispvm:dvm", "@anyvm", "@dispvm:dvm")]
    [TestCase("@dispvm", "@anyvm", "@dispvm:dvm")]
    [TestCase("@dispvm", "@dispvm:dvm", "@dispvm:dvm")]
    public void A_deny_in_another_spelling_is_not_offered_Q5_fixed(string denied, string asked, string target)
    {
        var rules = new[] { "s * work @default ask", $"s * work {denied} deny", $"s * work {asked} ask", "s * work vault ask" };
        Assert.That(Targets("work", rules).Split(','), Does.Not.Contain(target).And.Contain("vault"));
    }

    [Test]
    public void An_ask_before_the_deny_is_offered_in_every_spelling() =>
        Assert.That(Targets("work", "s * work @default ask", "s * work @dispvm ask", "s * work @adminvm ask", "s * * * deny"), Is.EqualTo("@dispvm:dvm,dom0"));

    [Test]
    public void A_rule_about_a_template_that_is_gone_offers_nothing_Q6_fixed() =>
        Assert.That(Targets("work", "s * work @default ask", "s * work @dispvm:gone ask", "s * work vault ask"), Is.EqualTo("vault"));

    [Test]
    public void An_unknown_source_is_offered_targets_Q6_fixed() =>
        Assert.That(Targets("nobody", "s * * @default ask", "s * * @dispvm ask", "s * * vault ask"), Is.EqualTo("vault"));

    [Test]
    public void Ask_without_autostart_and_with_an_unknown_redirect_is_denied_Q7_fixed()
    {
        var decision = Sets.Ask(Sets.Make("s * * * ask target=gone autostart=no"), "work", "vault");
        Assert.That((decision as PolicyDecision.Deny)?.Reason, Is.EqualTo(DenyReason.NoAskTargets));
    }

    [Test]
    public void Ask_without_autostart_offers_only_what_runs() =>
        Assert.That(Targets("work", "s * work @default ask autostart=no", "s * work * allow"), Is.EqualTo("dom0,dvm,mgmt,tmpl"));

    [TestCase("default_target=vault", "vault")]
    [TestCase("default_target=mgmt", null)]
    [TestCase("default_target=@dispvm", "@dispvm:dvm")]
    [TestCase("", null)]
    public void The_default_of_ask_must_be_in_the_list(string parameter, string? expected)
    {
        var set = Sets.Make($"s * work @default ask {parameter}", "s * work vault allow", "s * work @dispvm allow");
        Assert.That((Sets.Ask(set, "work", "") as PolicyDecision.Ask)?.DefaultTarget, Is.EqualTo(expected));
    }

    private static string Targets(string source, params string[] rules)
    {
        var ask = Sets.Ask(Sets.Make(rules), source, "") as PolicyDecision.Ask ?? Sets.Ask(Sets.Make(rules), source, "vault") as PolicyDecision.Ask;
        return string.Join(',', ask!.Targets);
    }
}
