using System.Text.Json;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Api.Tests.Asking;

/// <summary>Calls that an ask rule decides, and who answers.</summary>
public sealed class CallAskingTests
{
    private const string Policy = """
        mgmt.vm.CurrentState * work vault ask
        mgmt.vm.CurrentState * work sys-net ask default_target=sys-net
        mgmt.vm.property.Set +memory work vault ask
        mgmt.vm.tag.Set * work vault ask notify=yes
        mgmt.Events * work dom0 ask
        mgmt.policy.Answer +self vault dom0 deny
        mgmt.policy.Answer + vault dom0 allow
        mgmt.policy.Agent + vault dom0 allow
        mgmt.vm.CurrentState * vault work ask

        """;

    private const string Call = "mgmt.vm.CurrentState work vault";

    [Test]
    public async Task A_yes_lets_the_call_through_and_the_audit_line_says_who_said_so()
    {
        var agent = new SocketAgent();
        await using var daemon = await OpenAsync(agent);
        var call = daemon.TextAsync(Call);

        var (question, answer) = await agent.NextAsync();
        Assert.That((question.Source, question.Service, question.Argument, string.Join(' ', question.Targets), question.DefaultTarget), Is.EqualTo(("work", "mgmt.vm.CurrentState", "+", "vault", (string?)null)));
        Assert.That(question.Icons, Is.EquivalentTo(new Dictionary<string, string> { ["work"] = "appvm-red", ["vault"] = daemon.Vm("vault").Property("label") is { } label ? "appvm-" + label : "" }));
        answer.SetResult("allow:vault");

        Assert.That(await call, Does.Contain("power_state=Halted"));
        Assert.That(Audit(daemon), Is.EqualTo(("allow", "allowed by the user 30-test.policy:1", "OK")));
    }

    [TestCase("deny", "denied by the user 30-test.policy:1")]
    [TestCase("allow:work", "target work is not a valid choice")]
    [TestCase("allow:dom0", "target dom0 is not a valid choice")]
    [TestCase("allow:", "target  is not a valid choice")]
    [TestCase("allow", "the agent's answer was neither allow:TARGET nor deny")]
    [TestCase("allow:vault\n", "target vault_ is not a valid choice")]
    [TestCase("", "the agent's answer was neither allow:TARGET nor deny")]
    [TestCase(null, "no agent")]
    public async Task Anything_but_a_yes_to_the_target_denies(string? text, string reason)
    {
        var agent = new SocketAgent();
        await using var daemon = await OpenAsync(agent);
        var call = daemon.RefusalAsync(Call);
        (await agent.NextAsync()).Answer.SetResult(text);

        Assert.That(await call, Is.EqualTo(ErrorCode.PermissionDenied));
        Assert.That(Audit(daemon), Is.EqualTo(("deny", reason, "PermissionDenied")));
    }

    [Test]
    public async Task Nobody_to_ask_denies_at_once_with_the_usual_words()
    {
        await using var daemon = await OpenAsync();

        Assert.That((await daemon.CallAsync(Call)).Error!.Message, Is.EqualTo("Denied by policy: mgmt.vm.CurrentState from work to vault"));
        Assert.That(Audit(daemon).Reason, Is.EqualTo("no agent"));
    }

    [Test]
    public async Task Nobody_who_answers_denies_after_the_limit_and_gives_the_agent_up()
    {
        var (agent, clock) = (new SocketAgent(), new ManualTime());
        await using var daemon = await OpenAsync(clock, new(TimeSpan.FromSeconds(60)), agent);
        var call = daemon.RefusalAsync(Call);
        await agent.NextAsync();
        clock.Advance(59_999);
        Assert.That(call.IsCompleted, Is.False);
        clock.Advance(1);

        Assert.That(await call, Is.EqualTo(ErrorCode.PermissionDenied));
        Assert.That(Audit(daemon).Reason, Is.EqualTo("no answer in time"));
        Assert.That(agent.GivenUp, Has.Count.EqualTo(1));
        Assert.That(daemon.Questions.Count, Is.Zero);
    }

    [Test]
    public async Task A_caller_that_went_away_ends_its_question()
    {
        var agent = new SocketAgent();
        await using var daemon = await OpenAsync(agent);
        using var gone = new CancellationTokenSource();
        var call = daemon.CallAsync(Call, cancellation: gone.Token);
        await agent.NextAsync();
        await gone.CancelAsync();

        Assert.That((await call).Error!.Code, Is.EqualTo(ErrorCode.MgmtCancelledError));
        Assert.That((agent.GivenUp.Count, daemon.Questions.Count, daemon.Calls.Count), Is.EqualTo((1, 0, 0)));
        Assert.That(Audit(daemon), Is.EqualTo(("deny", "asked for by 30-test.policy:1", "MgmtCancelledError")));
    }

    [Test]
    public async Task A_waiting_call_is_listed_and_can_be_cancelled_also_when_it_would_change_something()
    {
        var agent = new SocketAgent();
        await using var daemon = await OpenAsync(agent);
        var call = daemon.CallAsync("mgmt.vm.tag.Set+x work vault");
        await agent.NextAsync();
        var line = (await daemon.TextAsync("mgmt.call.List dom0 dom0")).Split('\n').Single(l => l.Contains("vm.tag.Set", StringComparison.Ordinal));
        Assert.That(line, Does.Contain(" source=work target=vault "));
        await daemon.TextAsync($"mgmt.call.Cancel+{line.Split(' ')[0]} dom0 dom0");

        Assert.That((await call).Error!.Message, Is.EqualTo("The call was cancelled"));
        Assert.That(daemon.Vm("vault").Tags, Is.Empty);
    }

    [TestCase("mgmt.vm.CurrentState * work vault deny", "denied by policy 30-test.policy:1")]
    [TestCase("mgmt.vm.CurrentState * work @tag:none allow", "no matching rule found")]
    [TestCase("admin.vm.CurrentState * work uuid:VAULT deny", "denied by policy 30-test.policy:1")]
    public async Task A_policy_that_denies_by_the_time_of_the_yes_denies(string rule, string reason)
    {
        var agent = new SocketAgent();
        await using var daemon = await OpenAsync(agent);
        var call = daemon.RefusalAsync(Call);
        var (_, answer) = await agent.NextAsync();
        await WriteAsync(daemon, rule.Replace("VAULT", daemon.Vm("vault").Uuid.ToString("D"), StringComparison.Ordinal));
        answer.SetResult("allow:vault");

        Assert.That(await call, Is.EqualTo(ErrorCode.PermissionDenied));
        Assert.That(Audit(daemon).Reason, Is.EqualTo(reason));
    }

    [TestCase("mgmt.vm.CurrentState * work vault allow", "")]
    [TestCase("# moved\nmgmt.vm.CurrentState * work @anyvm ask", "allowed by the user 30-test.policy:2")]
    public async Task A_policy_that_still_asks_or_allows_by_then_allows(string rules, string reason)
    {
        var agent = new SocketAgent();
        await using var daemon = await OpenAsync(agent);
        var call = daemon.TextAsync(Call);
        var (_, answer) = await agent.NextAsync();
        await WriteAsync(daemon, rules);
        answer.SetResult("allow:vault");

        Assert.That(await call, Is.Not.Empty);
        Assert.That((Audit(daemon).Reason, agent.Asked), Is.EqualTo((reason, 1)));
    }

    [Test]
    public async Task A_vm_that_took_the_name_meanwhile_was_not_asked_about()
    {
        var agent = new SocketAgent();
        await using var daemon = await OpenAsync(agent);
        var call = daemon.RefusalAsync(Call);
        var (_, answer) = await agent.NextAsync();
        await daemon.TextAsync("mgmt.vm.Remove dom0 vault");
        await daemon.TextAsync("mgmt.vm.Create.AppVM+debian dom0 dom0", "name=vault label=red");
        answer.SetResult("allow:vault");

        Assert.That(await call, Is.EqualTo(ErrorCode.PermissionDenied));
        Assert.That(Audit(daemon).Reason, Is.EqualTo("not the VM any more that was asked about"));
    }

    [Test]
    public async Task Who_answers_sees_the_value_of_a_change()
    {
        var agent = new SocketAgent();
        await using var daemon = await OpenAsync(agent);
        var call = daemon.TextAsync("mgmt.vm.property.Set+memory work vault", "512");
        var (question, answer) = await agent.NextAsync();
        answer.SetResult("allow:vault");
        await call;

        Assert.That(question.Argument, Is.EqualTo("+memory+512"));
        Assert.That(daemon.Vm("vault").Property("memory"), Is.EqualTo("512"));
    }

    [Test]
    public async Task Each_question_of_a_call_that_is_asked_is_asked_in_turn()
    {
        var (agent, calls) = (new SocketAgent(), new TwoQuestions());
        await using var daemon = await Daemon.OpenAsync(policy: "mgmt.two * work vault ask\nmgmt.other +b work sys-net ask\n", groups: [calls], askSockets: agent);
        var call = daemon.TextAsync("mgmt.two+a work vault");
        var first = await agent.NextAsync();
        first.Answer.SetResult("allow:vault");
        var second = await agent.NextAsync();
        second.Answer.SetResult("allow:sys-net");
        await call;
        Assert.That((first.Question.Service, first.Question.Argument, second.Question.Service, second.Question.Argument), Is.EqualTo(("mgmt.two", "+a", "mgmt.other", "+b")));
        Assert.That(Audit(daemon).Reason, Is.EqualTo("allowed by the user 30-test.policy:2"));

        var refused = daemon.RefusalAsync("mgmt.two+a work vault");
        (await agent.NextAsync()).Answer.SetResult("allow:vault");
        (await agent.NextAsync()).Answer.SetResult("deny");
        Assert.That((await refused, calls.Served), Is.EqualTo((ErrorCode.PermissionDenied, 1)));
    }

    [Test]
    public async Task Ask_counts_as_deny_for_events()
    {
        var agent = new SocketAgent();
        await using var daemon = await OpenAsync(agent);

        Assert.That(await daemon.RefusalAsync("mgmt.Events work dom0"), Is.EqualTo(ErrorCode.PermissionDenied));
        Assert.That((agent.Asked, Audit(daemon).Reason), Is.EqualTo((0, "ask counts as deny for Events")));
    }

    [Test]
    public async Task A_pending_question_holds_nobody_else_up()
    {
        var agent = new SocketAgent();
        await using var daemon = await OpenAsync(agent);
        var call = daemon.TextAsync(Call);
        var (_, answer) = await agent.NextAsync();

        await daemon.TextAsync("mgmt.vm.Start dom0 vault");
        Assert.That(await daemon.TextAsync("mgmt.Status dom0 dom0"), Does.Match("\"ask\": \\{\\s+\"agents\": 0,\\s+\"agent_sockets\": 1,\\s+\"pending\": 1"));

        answer.SetResult("allow:vault");
        Assert.That(await call, Does.Contain("power_state=Running"), "the state of after the answer");
    }

    private static Task<Daemon> OpenAsync(params IAskSocket[] agents) => Daemon.OpenAsync(policy: Policy, askSockets: agents);

    private static Task<Daemon> OpenAsync(TimeProvider clock, AskLimits limits, params IAskSocket[] agents) => Daemon.OpenAsync(policy: Policy, clock: clock, askLimits: limits, askSockets: agents);

    private static async Task WriteAsync(Daemon daemon, string rules)
    {
        await File.WriteAllTextAsync(Path.Combine(daemon.PolicyPath, "30-test.policy"), rules + "\n");
        await daemon.Policy.ReloadAsync(CancellationToken.None);
        Assert.That(daemon.Policy.Current.Stale, Is.False);
    }

    /// <summary>Decision, reason and outcome of the last call of work.</summary>
    private static (string Decision, string Reason, string Outcome) Audit(Daemon daemon)
    {
        var line = File.ReadAllLines(daemon.AuditPath).Select(l => JsonDocument.Parse(l).RootElement).Last(l => l.GetProperty("source").GetString() == "work");
        return (line.GetProperty("decision").GetString()!, line.TryGetProperty("reason", out var reason) ? reason.GetString()! : "", line.GetProperty("outcome").GetString()!);
    }

    private sealed class TwoQuestions : ICallGroup
    {
        internal int Served { get; private set; }

        public IEnumerable<CallRow> Rows =>
        [
            new("two", CallTarget.Vm, CallAccess.Write, CallScope.Vm, ArgumentRule.Required("word"), PayloadRule.None, CallDialects.Mgmt, "Two questions.", Serve) { MoreQuestions = _ => [new("other", "b", "sys-net")] },
        ];

        private ValueTask<ReadOnlyMemory<byte>> Serve(CallContext call, CancellationToken cancellation)
        {
            Served++;
            return new(Content.Empty);
        }
    }
}
