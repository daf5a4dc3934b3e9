using Mgmt.Core;

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
    public void A_tag_that_changes_the_answer_is_told_for_the_target_and_the_source() =>
        Assert.That(Tags(Explain("mgmt.vm.Start", "work", "vault")), Is.EqualTo(new[]
        {
            "secret off vault: deny 30-x.policy:6",
            "team on vault: deny 30-x.policy:3",
            "team off work: deny 30-x.policy:6",
        }));

    [Test]
    public void Tags_in_rules_about_other_calls_are_not_tried() =>
        Assert.That(Explain("mgmt.vm.Kill", "work", "vault").TagChanges, Is.Empty);

    [Test]
    public void When_no_rule_decides_all_rules_are_looked_at()
    {
        var explanation = Explain("mgmt.vm.Start", "mgmt", "work");
        Assert.That((explanation.Outcome.Decision, explanation.Outcome.Rule, explanation.Text), Is.EqualTo(("deny", "-", "")));
        Assert.That(explanation.NearMisses.Select(miss => miss.Rule), Is.EqualTo(new[] { "30-x.policy:2", "30-x.policy:3", "30-x.policy:5", "builtin:1" }));
        Assert.That(Tags(explanation), Is.EqualTo(new[] { "secret on work: allow 30-x.policy:5" }));
    }

    [Test]
    public void Another_service_is_answered_in_the_pure_language()
    {
        var load = Sets.Load(Sets.Daemon, ("30-x.policy", "s * work vault allow target=dom0"));
        Assert.That(PolicyExplanation.Of(load.Set!, new PolicyRequest("s", "", "work", "vault"), TestDomains.Office()).Outcome.Message, Is.EqualTo("allowed by 30-x.policy:1, goes to dom0"));
    }

    [Test]
    public void A_request_that_is_not_valid_is_explained_by_what_is_wrong_with_it() =>
        Assert.That(Explain("mgmt.vm.Start", "work", "@tag:x").Outcome.Message, Does.Contain("invalid target '@tag:x'"));

    [Test]
    public void Text_of_files_outside_of_the_policy_directories_is_not_shown()
    {
        using var directory = new TemporaryDirectory();
        directory.Write("secret/rules", "mgmt.vm.Start * work vault allow\n");
        directory.Write("etc/10-x.policy", "mgmt.vm.Start +x work vault deny\n");
        File.CreateSymbolicLink(directory["etc/20-link.policy"], directory["secret/rules"]);
        var set = PolicySet.Load(PolicySource.FromDirectories(new PolicyDirectory(directory["etc"])), Sets.Daemon).Set!;
        var explanation = PolicyExplanation.Of(set, new PolicyRequest("mgmt.vm.Start", "", "work", "vault"), TestDomains.Office());
        Assert.That((explanation.Outcome.Rule, explanation.Text, explanation.NearMisses.Single().Text), Is.EqualTo(("20-link.policy:1", "", "mgmt.vm.Start +x work vault deny")));
    }

    [Test]
    public void A_line_that_is_too_long_to_show_is_cut()
    {
        var set = Sets.Make(Sets.Daemon, "mgmt.vm.Start * work vault allow" + new string(' ', 1000) + "notify=yes");
        Assert.That(PolicyExplanation.Of(set, new PolicyRequest("mgmt.vm.Start", "", "work", "vault"), TestDomains.Office()).Text, Has.Length.EqualTo(501).And.EndsWith("…"));
    }

    [Test]
    public void Written_and_read_it_is_the_same()
    {
        foreach (var (source, target) in new[] { ("work", "vault"), ("mgmt", "work"), ("work", "@tag:x"), ("dom0", "dom0") })
        {
            var text = PolicyExplanationText.Write(Explain("mgmt.vm.Start", source, target));
            Assert.That(PolicyExplanationText.Write(PolicyExplanationText.Parse(text)), Is.EqualTo(text));
            Assert.That(text, Does.StartWith("decision="));
        }
    }

    [TestCase("")]
    [TestCase("decision=allow\nrule=x:1\n")]
    [TestCase("decision=allow\nrule=x:1\nreason=r\nnear=only\n")]
    [TestCase("decision=allow\nrule=x:1\nreason=r\nmore=x\n")]
    [TestCase("decision=allow\nrule=x:1\nreason=r\ntag=maybe\ta\tb\tc\td\te\n")]
    public void What_is_no_explanation_is_refused(string text) => Assert.That(() => PolicyExplanationText.Parse(text), Throws.TypeOf<MgmtException>());

    private static IEnumerable<string> Tags(PolicyExplanation explanation) =>
        explanation.TagChanges.Select(change => $"{change.Tag} {(change.Added ? "on" : "off")} {change.Vm}: {change.Outcome.Decision} {change.Outcome.Rule}");

    private static PolicyExplanation Explain(string service, string source, string target) =>
        PolicyExplanation.Of(Sets.Load(Sets.Daemon, ("30-x.policy", string.Join('\n', Rules))).Set!, new PolicyRequest(service, "", source, target), TestDomains.Office());
}
