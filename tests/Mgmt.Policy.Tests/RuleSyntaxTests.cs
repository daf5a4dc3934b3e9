namespace Mgmt.Policy.Tests;

[TestFixture]
public sealed class RuleSyntaxTests
{
    [TestCase("  s * * *", 3, "too few words")]
    [TestCase("s+x * * * deny", 1, "service")]
    [TestCase("s x * * deny", 3, "does not start with +")]
    [TestCase("s +a/b * * deny", 3, "argument")]
    [TestCase("* +x * * deny", 3, "expected the argument *")]
    [TestCase("s * * * Allow", 9, "expected allow, deny or ask")]
    [TestCase("s * * * allow,target=dom0", 9, "expected allow, deny or ask")]
    [TestCase("s * * * allow # why", 15, "expected KEY=VALUE")]
    [TestCase("s * * * allow user=a user=b", 22, "given twice")]
    [TestCase("s * * * allow user= user=b", 21, "given twice")]
    [TestCase("s * * * deny notify=maybe", 14, "expected yes or no")]
    [TestCase("s * * * deny target=dom0", 14, "expected notify= after deny")]
    [TestCase("s * * * allow default_target=dom0", 15, "after allow")]
    [TestCase("s * * @default allow", 7, "expected target=")]
    [TestCase("!foo x", 1, "expected !include")]
    [TestCase("! include x", 1, "expected !include")]
    [TestCase("!include", 1, "expected !include PATH")]
    [TestCase("!include-service s *", 1, "expected !include-service")]
    [TestCase("!include-dir include", 14, "not a directory: include")]
    [TestCase("!include-dir", 1, "wrong number of words")]
    [TestCase("  !compat-4.0", 3, "not a directory: /etc/qubes-rpc/policy")]
    [TestCase("!compat-4.0 x", 1, "expected !compat-4.0 alone")]
    [TestCase("!include nothing", 10, "not a file: nothing")]
    public void A_mistake_is_told_with_line_column_and_expectation(string line, int column, string says)
    {
        var error = Sets.Errors("# first\n" + line + "\n").Single();
        Assert.That((error.File, error.Line, error.Column), Is.EqualTo(("30-x.policy", 2, column)), error.Message);
        Assert.That(error.Message, Does.Contain(says));
    }

    [Test]
    public void All_mistakes_of_all_files_are_told()
    {
        var load = Sets.Load(Sets.Pure, ("10-a.policy", "x\ns * * * allow\ny"), ("Bad.policy", ""), ("20-b.policy", "!include include/c"), ("include/c", "z"));
        Assert.That(load.Set, Is.Null);
        Assert.That(load.Errors.Select(e => $"{e.File}:{e.Line}"), Is.EqualTo(new[] { "Bad.policy:1", "10-a.policy:1", "10-a.policy:3", "include/c:1" }));
    }

    [Test]
    public void At_most_1000_mistakes_are_told() =>
        Assert.That(Sets.Errors(string.Concat(Enumerable.Repeat("x\n", 3000))), Has.Count.EqualTo(1000));

    [Test]
    public void Any_unicode_white_space_separates_words_and_lines_end_in_three_ways()
    {
        var set = Sets.Make("s\u00A0*\u2003*\v*\u001Cdeny\r\ns * a b allow\r\u0085# c\n\n  s + a b ask\t");
        Assert.That(set.RuleCount, Is.EqualTo(3));
        Assert.That(Sets.Ask(set, "x", "").Rule, Is.EqualTo("30-x.policy:1"));
    }

    [Test]
    public void Exact_and_wild_arguments_match()
    {
        var set = Sets.Make("s +x * * deny", "s + * * deny", "t * * * deny", "* * * * deny");
        string Line(string service, string argument) => Sets.Ask(set, "work", "vault", service, argument).Rule![^1..];
        Assert.That(Line("s", "+x") + Line("s", "") + Line("s", "+") + Line("s", "+xy") + Line("t", "+q") + Line("u", ""), Is.EqualTo("122434"));
    }

    [Test]
    public void Parameters_reach_the_decision()
    {
        var decision = Sets.Ask(Sets.Make("s * * * allow user=a=b notify=yes autostart=no target=mgmt"), "work", "vault");
        Assert.That(decision, Is.EqualTo(new PolicyDecision.Allow("mgmt", "a=b", false) { Rule = "30-x.policy:1", Notify = true }));
    }

    [TestCase("deny", true)]
    [TestCase("deny notify=no", false)]
    public void A_denial_notifies_unless_told_not_to(string action, bool notify) =>
        Assert.That(Sets.Ask(Sets.Make("s * * * " + action), "work", "vault"), Is.EqualTo(new PolicyDecision.Deny(DenyReason.Rule, "denied by policy 30-x.policy:1") { Rule = "30-x.policy:1", Notify = notify }));

    [TestCase("vault", DenyReason.Autostart)]
    [TestCase("@dispvm", DenyReason.Autostart)]
    public void Without_autostart_only_a_running_vm_is_allowed(string target, DenyReason reason) =>
        Assert.That((Sets.Ask(Sets.Make("s * * * allow autostart=no"), "work", target) as PolicyDecision.Deny)?.Reason, Is.EqualTo(reason));

    [TestCase("mgmt", "@dispvm", "*", DenyReason.NoDispvm)]
    [TestCase("work", "", "*", DenyReason.NoTarget)]
    [TestCase("work", "vault", "* target=gone", DenyReason.NoTarget)]
    [TestCase("work", "vault", "* target=@dispvm:work", DenyReason.NotDispvmTemplate)]
    public void An_allow_that_leads_nowhere_is_denied(string source, string target, string rule, DenyReason reason)
    {
        var parts = rule.Split(' ', 2);
        var set = Sets.Make($"s * * {parts[0]} allow {(parts.Length > 1 ? parts[1] : "")}");
        Assert.That((Sets.Ask(set, source, target) as PolicyDecision.Deny)?.Reason, Is.EqualTo(reason));
    }

    [Test]
    public void A_remote_vm_speaks_through_its_relay_only()
    {
        var domains = TestDomains.Office().Add(new DomainInfo { Name = "remote", Type = "RemoteVM", Uuid = TestDomains.Uuid("remote"), RelayVm = "work" });
        var set = Sets.Make("s * remote vault allow");
        PolicyDecision Ask(string source, string requested) => set.Evaluate(new PolicyRequest("s", "", source, "vault") { RequestedSource = requested }, domains);
        Assert.That(Ask("work", "remote"), Is.TypeOf<PolicyDecision.Allow>());
        Assert.That(Ask("mgmt", "remote"), Is.TypeOf<PolicyDecision.RequestError>());
        Assert.That(Ask("work", "mgmt"), Is.TypeOf<PolicyDecision.RequestError>());
        Assert.That(Ask("work", "nobody"), Is.TypeOf<PolicyDecision.RequestError>());
    }
}
