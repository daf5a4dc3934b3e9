namespace Mgmt.Policy.Tests;

[TestFixture]
public sealed class ExplanationTests
{
    private static readonly string[] Rules =
    [
        "mgmt.vm.Start +x work vault deny",
        "mgmt.vm.Start * mgmt vault deny",
        "mgmt.vm.Start * work @tag:team deny notify=no",
        "mgmt.vm.Kill * work vault deny",
        "admin.vm.Start * @tag:team @tag:secret allow target=dom0  ",
        "mgmt.vm.Start * work vault deny",
    ];

    [Test]
    public void The_deciding_rule_is_told_with_its_text()
    {
        var explanation = Explain("mgmt.vm.Start", "work", "vault");
        Assert.That(explanation.Outcome, Is.EqualTo(new PolicyOutcome("allow", "30-x.policy:5", "allowed by 30-x.policy:5")));
        Assert.That(explanation.Text, Is.EqualTo("admin.vm.Start * @tag:team @tag:secret allow target=dom0"));
    }

    [Test]
    public void Rules_that_nearly_matched_are_told_with_the_one_thing_that_differs() =>
        Assert.That(Explain("mgmt.vm.Start", "work", "vault").NearMisses.Select(miss => $"{miss.Rule} {miss.Why}"), Is.EqualTo(new[]
        {
            "30-x.policy:1 argument: the rule has +x, the call +",
            "30-x.policy:2 source: work is not mgmt",
            "30-x.policy:3 target: vault is not @tag:team",
        }));

    [Test]
    public void A_tag_on_the_target_that_changes_the_answer_is_told()
    {
        var changes = Explain("mgmt.vm.Start", "work", "vault").TagChanges;
        Assert.That(changes.Select(change => (change.Tag, change.Added, change.Outcome.Decision, change.Outcome.Rule)), Is.EqualTo(new[]
        {
            ("secret", false, "deny", "30-x.policy:6"),
            ("team", true, "deny", "30-x.policy:3"),
        }));
    }

    [Test]
    public void When_no_rule_decides_all_rules_are_looked_at()
    {
        var explanation = Explain("mgmt.vm.Start", "mgmt", "work");
        Assert.That((explanation.Outcome.Decision, explanation.Outcome.Rule, explanation.Text), Is.EqualTo(("deny", "-", "")));
        Assert.That(explanation.NearMisses.Select(miss => miss.Rule), Is.EqualTo(new[] { "30-x.policy:2", "30-x.policy:3", "30-x.policy:5", "builtin:1" }));
        Assert.That(explanation.TagChanges.Single(), Is.EqualTo(new TagChange("secret", true, new PolicyOutcome("allow", "30-x.policy:5", "allowed by 30-x.policy:5"))));
    }

    [Test]
    public void Another_service_is_answered_in_the_pure_language()
    {
        var load = Sets.Load(Sets.Daemon, ("30-x.policy", "s * work vault allow target=dom0"));
        Assert.That(PolicyExplanation.Of(load, new PolicyRequest("s", "", "work", "vault"), TestDomains.Office()).Outcome.Message, Is.EqualTo("allowed by 30-x.policy:1, goes to dom0"));
    }

    [Test]
    public void A_request_that_is_not_valid_is_explained_by_what_is_wrong_with_it() =>
        Assert.That(Explain("mgmt.vm.Start", "work", "@tag:x").Outcome.Message, Does.Contain("invalid target '@tag:x'"));

    private static PolicyExplanation Explain(string service, string source, string target) =>
        PolicyExplanation.Of(Sets.Load(Sets.Daemon, ("30-x.policy", string.Join('\n', Rules))), new PolicyRequest(service, "", source, target), TestDomains.Office());
}
