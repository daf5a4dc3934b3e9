namespace Mgmt.Policy.Tests;

/// <summary>What a yes to an ask is worth by the rules of the moment after it.</summary>
[TestFixture]
public sealed class ChosenTests
{
    [Test]
    public void A_target_that_was_offered_is_allowed_with_the_rules_user_and_autostart()
    {
        var set = Sets.Make("s * work vault ask user=root notify=yes");
        Assert.That(Choose(set, "vault"), Is.EqualTo(new PolicyDecision.Allow("vault", "root", true) { Rule = "30-x.policy:1", Notify = true }));
    }

    [TestCase("mgmt", "s * work vault ask")]
    [TestCase("nobody", "s * work * ask")]
    [TestCase("work", "s * work * ask")]
    [TestCase("hidden", "s * work * ask")]
    [TestCase("@adminvm", "s * work * ask")]
    [TestCase("", "s * work * ask")]
    [TestCase("dom0", "s * work vault ask", "s * work @adminvm deny", "s * work * ask")]
    [TestCase("@dispvm:dvm", "s * work vault ask", "s * work @dispvm deny", "s * work * ask")]
    public void A_target_that_is_not_offered_is_no_valid_choice(string chosen, params string[] rules)
    {
        var decision = Choose(Sets.Make(rules), chosen) as PolicyDecision.Deny;
        Assert.That(decision?.Message, Is.EqualTo($"target {chosen} is not a valid choice"));
        Assert.That((decision?.Rule, decision?.Notify), Is.EqualTo(("30-x.policy:1", true)));
    }

    [TestCase("s * work vault deny")]
    [TestCase("t * work vault ask")]
    public void Rules_that_deny_by_now_deny(string rule) => Assert.That(Choose(Sets.Make(rule), "vault"), Is.InstanceOf<PolicyDecision.Deny>());

    [TestCase("s * work vault allow", "vault", true)]
    [TestCase("s * work vault allow target=mgmt", "mgmt", true)]
    [TestCase("s * work vault allow target=mgmt", "vault", false)]
    public void Rules_that_allow_by_now_allow_only_where_they_lead(string rule, string chosen, bool allowed) =>
        Assert.That(Choose(Sets.Make(rule), chosen) is PolicyDecision.Allow, Is.EqualTo(allowed));

    [TestCase("s * work vault ask target=@dispvm", "@dispvm", "@dispvm:dvm")]
    [TestCase("s * work vault ask target=dom0", "dom0", "dom0")]
    public void A_redirects_word_is_carried_out_as_of_an_allow(string rule, string chosen, string target) =>
        Assert.That((Choose(Sets.Make(rule), chosen) as PolicyDecision.Allow)?.Target, Is.EqualTo(target));

    [TestCase("gone")]
    [TestCase("@dispvm:tmpl")]
    public void A_redirect_to_what_is_not_there_is_offered_and_then_denied(string redirect) =>
        Assert.That(Choose(Sets.Make($"s * work vault ask target={redirect}"), redirect), Is.InstanceOf<PolicyDecision.Deny>());

    [Test]
    public void The_source_of_an_ask_cannot_be_called() =>
        Assert.That((Choose(Sets.Make("s * work vault ask target=work"), "work") as PolicyDecision.Allow)?.Refused, Is.Not.Null);

    private static PolicyDecision Choose(PolicySet set, string chosen) =>
        set.EvaluateChosen(new PolicyRequest("s", "+", "work", "vault"), chosen, TestDomains.Office());
}
