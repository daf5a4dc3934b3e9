namespace Mgmt.Policy.Tests;

/// <summary>Management calls: served here or not.</summary>
[TestFixture]
public sealed class CallTests
{
    [TestCase("mgmt.vm.Start", "admin.vm.Start")]
    [TestCase("admin.vm.Start", "mgmt.vm.Start")]
    [TestCase("mgmt.vm.Start", "mgmt.vm.Start")]
    public void An_alias_is_no_way_past_a_rule(string ruled, string asked)
    {
        var set = Sets.Make(Sets.Daemon, $"{ruled} +x mgmt work deny", "* * mgmt * allow");
        Assert.That(Decide(set, "mgmt", "work", asked, "+x").Rule, Is.EqualTo("30-x.policy:1"));
        Assert.That(set.Evaluate(new PolicyRequest(asked, "+x", "mgmt", "work"), TestDomains.Office()).Rule, Is.EqualTo("30-x.policy:1"));
    }

    [Test]
    public void Rules_under_both_names_keep_their_order()
    {
        var set = Sets.Make(Sets.Daemon, "admin.vm.Start * mgmt @tag:secret deny", "mgmt.vm.Start * mgmt * allow", "admin.vm.Start * mgmt * deny");
        Assert.That(Decide(set, "mgmt", "vault", "mgmt.vm.Start").Rule, Is.EqualTo("30-x.policy:1"));
        Assert.That(Decide(set, "mgmt", "work", "admin.vm.Start").Rule, Is.EqualTo("30-x.policy:2"));
    }

    [Test]
    public void The_pure_language_does_not_fold() =>
        Assert.That(Sets.Ask(Sets.Make("mgmt.vm.Start * * * allow"), "mgmt", "work", "admin.vm.Start").Rule, Is.Null);

    [TestCase("dom0")]
    [TestCase("@adminvm")]
    [TestCase("uuid:00000000-0000-0000-0000-000000000000")]
    public void An_empty_directory_leaves_dom0_in_and_everybody_else_out(string dom0)
    {
        var set = Sets.Load(Sets.Daemon).Set!;
        Assert.That(Decide(set, dom0, "work"), Is.EqualTo(new CallDecision(true, false, "builtin:1", "allowed by builtin:1", false)));
        Assert.That(Decide(set, "work", "work"), Is.EqualTo(new CallDecision(false, false, "-", "no matching rule found", true)));
    }

    [Test]
    public void A_file_may_deny_dom0_before_the_builtin_rule() =>
        Assert.That(Decide(Sets.Make(Sets.Daemon, "s * dom0 vault deny"), "dom0", "vault").Rule, Is.EqualTo("30-x.policy:1"));

    [TestCase("")]
    [TestCase("@default")]
    [TestCase("@adminvm")]
    [TestCase("dom0")]
    [TestCase("uuid:00000000-0000-0000-0000-000000000000")]
    public void Every_spelling_of_dom0_is_asked_as_dom0(string target)
    {
        var set = Sets.Make(Sets.Daemon, "s * mgmt @anyvm allow", "s * mgmt @adminvm deny");
        Assert.That(Decide(set, "mgmt", target).Rule, Is.EqualTo("30-x.policy:2"));
        Assert.That(Decide(Sets.Make(Sets.Daemon, "s * mgmt * allow"), "mgmt", target).Allowed, Is.True);
    }

    [Test]
    public void An_unknown_name_is_asked_as_default_and_can_be_allowed()
    {
        Assert.That(Decide(Sets.Make(Sets.Daemon, "s * mgmt @default allow target=dom0"), "mgmt", "nobody").Allowed, Is.True);
        Assert.That(Decide(Sets.Make(Sets.Daemon, "s * mgmt @tag:team allow"), "mgmt", "nobody").Allowed, Is.False);
    }

    [TestCase("@dispvm")]
    [TestCase("@dispvm:dvm")]
    [TestCase("@anyvm")]
    [TestCase("*")]
    public void A_target_that_is_no_vm_is_refused(string target) =>
        Assert.That(Decide(Sets.Make(Sets.Daemon, "* * * * allow"), "mgmt", target).Allowed, Is.False);

    [TestCase("allow", true)]
    [TestCase("allow target=dom0", true)]
    [TestCase("allow target=@adminvm", true)]
    [TestCase("allow target=uuid:00000000-0000-0000-0000-000000000000", true)]
    [TestCase("allow autostart=no user=root", true)]
    [TestCase("allow target=work", false)]
    [TestCase("allow target=@dispvm", false)]
    [TestCase("ask", false)]
    [TestCase("deny", false)]
    public void An_allow_is_served_here_and_a_redirect_elsewhere_refused(string action, bool allowed) =>
        Assert.That(Decide(Sets.Make(Sets.Daemon, "s * mgmt vault " + action), "mgmt", "vault").Allowed, Is.EqualTo(allowed));

    [Test]
    public void A_redirect_elsewhere_says_so_and_is_a_warning()
    {
        var set = Sets.Make(Sets.Daemon, "mgmt.vm.Start * mgmt vault allow target=work");
        Assert.That(Decide(set, "mgmt", "vault", "mgmt.vm.Start").Reason, Does.Contain("redirects to work"));
        Assert.That(set.Warnings.Single().Line, Is.EqualTo(1));
    }

    [Test]
    public void Ask_is_told_apart_from_a_denial_and_is_not_allowed_by_itself()
    {
        var decision = Decide(Sets.Make(Sets.Daemon, "s * mgmt vault ask notify=yes"), "mgmt", "vault");
        Assert.That(decision, Is.EqualTo(new CallDecision(false, true, "30-x.policy:1", "asked for by 30-x.policy:1", true)));
    }

    [TestCase("ask", "vault", false)]
    [TestCase("ask default_target=vault", "vault", true)]
    [TestCase("ask default_target=uuid:VAULT", "vault", true)]
    [TestCase("ask default_target=dom0", "vault", true)]
    [TestCase("ask default_target=@adminvm", "vault", true)]
    [TestCase("ask default_target=work", "vault", false)]
    [TestCase("ask default_target=nobody", "nobody", false)]
    [TestCase("ask default_target=vault", "nobody", false)]
    [TestCase("ask default_target=@dispvm", "vault", false)]
    public void Yes_is_the_default_where_default_target_names_the_target_or_dom0(string action, string target, bool expected)
    {
        var rule = "s * mgmt * " + action.Replace("VAULT", TestDomains.Uuid("vault"), StringComparison.Ordinal);
        Assert.That(Decide(Sets.Make(Sets.Daemon, rule), "mgmt", target), Has.Property("IsAsk").True.And.Property("YesIsDefault").EqualTo(expected));
    }

    [Test]
    public void An_ask_with_a_redirect_elsewhere_is_refused_and_not_asked() =>
        Assert.That(Decide(Sets.Make(Sets.Daemon, "s * mgmt vault ask target=work"), "mgmt", "vault"), Has.Property("IsAsk").False.And.Property("Allowed").False);

    [TestCase("s +a+v mgmt work allow", true)]
    [TestCase("s +a+v mgmt @tag:team ask", true)]
    [TestCase("s +a+v mgmt work deny", false)]
    [TestCase("s +a+v mgmt vault allow", false)]
    [TestCase("s +a+v vault work allow", false)]
    [TestCase("s +ab mgmt work allow", false)]
    [TestCase("s +a mgmt work deny", false)]
    [TestCase("other +a+v mgmt work allow", false)]
    public void A_decision_depends_on_a_value_where_a_rule_lets_one_through(string rule, bool depends) =>
        Assert.That(Sets.Make(Sets.Daemon, rule).DependsOnValue(new PolicyRequest("s", "+a", "mgmt", "work"), TestDomains.Office()), Is.EqualTo(depends));

    [Test]
    public void A_vm_may_call_about_itself() =>
        Assert.That(Decide(Sets.Make(Sets.Daemon, "s * work work allow"), "work", "work").Allowed, Is.True);

    [TestCase("+netvm", "+netvm+sys-net", 1)]
    [TestCase("+netvm", "+netvm+other", 2)]
    [TestCase("+netvm", null, 2)]
    [TestCase("+label", "+label+red", 4)]
    [TestCase("+label", "+label+blue", 3)]
    [TestCase("+memory", "+memory+1", 5)]
    public void A_rule_for_the_value_matches_and_the_first_one_decides(string argument, string? value, int line)
    {
        var set = Sets.Make(Sets.Daemon, "p +netvm+sys-net mgmt work allow", "p +netvm mgmt * deny", "p +label+blue mgmt @anyvm allow", "p +label mgmt @tag:team allow", "p * mgmt * deny");
        var request = new PolicyRequest("p", argument, "mgmt", "work") { ValueArgument = value };
        Assert.That(set.DecideCall(request, TestDomains.Office()).Rule, Is.EqualTo($"30-x.policy:{line}"));
    }

    [Test]
    public void A_decision_about_a_name_allocates_nothing_when_allowed()
    {
        var set = Sets.Make(Sets.Daemon, "s +a mgmt work deny", "s * @tag:team @tag:team allow");
        var domains = TestDomains.Office();
        var request = new PolicyRequest("s", "+b", "mgmt", "work") { ValueArgument = "+b+c" };
        Assert.That(set.DecideCall(request, domains).Allowed, Is.True);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 100; i++)
            set.DecideCall(request, domains);
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
    }

    private static CallDecision Decide(PolicySet set, string source, string target, string service = "s", string argument = "") =>
        set.DecideCall(new PolicyRequest(service, argument, source, target), TestDomains.Office());
}
