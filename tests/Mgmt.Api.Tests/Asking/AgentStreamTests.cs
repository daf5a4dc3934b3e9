using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Api.Tests.Asking;

/// <summary>Agents that are told questions by a stream, and the bounds of what waits.</summary>
public sealed class AgentStreamTests
{
    private const string Policy = """
        mgmt.vm.CurrentState * @anyvm vault ask default_target=vault
        mgmt.policy.Answer +self vault dom0 deny
        mgmt.policy.Answer * sys-net dom0 allow
        mgmt.policy.Answer * vault dom0 allow
        mgmt.policy.Agent * work dom0 ask
        mgmt.policy.Agent * @anyvm dom0 allow

        """;

    private const string Call = "mgmt.vm.CurrentState work vault";

    [Test]
    public async Task An_agent_is_told_a_question_answers_it_and_is_told_its_end()
    {
        await using var daemon = await Daemon.OpenAsync(policy: Policy, clock: new ManualTime());
        var agent = await StreamedAgent.OpenAsync(daemon);
        var call = daemon.TextAsync(Call);

        var told = await agent.NextAsync();
        Assert.That((told.Subject, told.Name), Is.EqualTo(("", "policy-ask")));
        Assert.That(told.Pairs.Select(p => $"{p.Key}={p.Value}").Skip(1), Is.EqualTo(new[]
        {
            "source=work", "service=mgmt.vm.CurrentState", "argument=+", "targets=vault", "default=vault", "rule=30-test.policy:1", "left_ms=60000",
        }));
        Assert.That(told["id"], Does.Match("^[0-9a-f]{32}$"));
        await daemon.TextAsync($"mgmt.policy.Answer+{told["id"]} dom0 dom0", "allow:vault");

        Assert.That(await call, Does.Contain("power_state=Halted"));
        Assert.That(Daemon.Show(await agent.NextAsync()), Is.EqualTo($"policy-ask-ended id={told["id"]} outcome=allow"));
        await agent.LeaveAsync();
    }

    [Test]
    public async Task A_question_that_waits_is_told_to_an_agent_that_comes_later_and_the_first_answer_counts()
    {
        await using var daemon = await Daemon.OpenAsync(policy: Policy);
        var first = await StreamedAgent.OpenAsync(daemon);
        var call = daemon.RefusalAsync(Call);
        var id = (await first.NextAsync())["id"];
        var second = await StreamedAgent.OpenAsync(daemon, "sys-net");
        Assert.That((await second.NextAsync())["id"], Is.EqualTo(id));

        await daemon.TextAsync($"mgmt.policy.Answer+{id} sys-net dom0", "deny");
        Assert.That(await call, Is.EqualTo(ErrorCode.PermissionDenied));
        Assert.That(await daemon.RefusalAsync($"mgmt.policy.Answer+{id} dom0 dom0", "allow:vault"), Is.EqualTo(ErrorCode.QubesValueError));
        Assert.That((await first.NextAsync())["outcome"], Is.EqualTo("deny"));
        await first.LeaveAsync();
        await second.LeaveAsync();
    }

    [Test]
    public async Task When_the_last_agent_goes_away_nobody_is_there()
    {
        await using var daemon = await Daemon.OpenAsync(policy: Policy);
        var (first, second) = (await StreamedAgent.OpenAsync(daemon), await StreamedAgent.OpenAsync(daemon));
        var call = daemon.RefusalAsync(Call);
        await first.NextAsync();
        await first.LeaveAsync();
        Assert.That(call.IsCompleted, Is.False);
        await second.LeaveAsync();

        Assert.That(await call, Is.EqualTo(ErrorCode.PermissionDenied));
        Assert.That(await File.ReadAllTextAsync(daemon.AuditPath), Does.Contain("no agent: the last one went away"));
    }

    [Test]
    public async Task An_answer_is_one_of_two_words_and_a_target_that_was_not_offered_denies()
    {
        await using var daemon = await Daemon.OpenAsync(policy: Policy);
        var agent = await StreamedAgent.OpenAsync(daemon);
        var call = daemon.RefusalAsync(Call);
        var id = (await agent.NextAsync())["id"];
        foreach (var nonsense in new[] { "yes", "allow", "deny\n", "ALLOW:vault" })
        {
            Assert.That(await daemon.RefusalAsync($"mgmt.policy.Answer+{id} dom0 dom0", nonsense), Is.EqualTo(ErrorCode.QubesValueError));
        }
        Assert.That(call.IsCompleted, Is.False);

        Assert.That((await daemon.CallAsync($"mgmt.policy.Answer+{id} dom0 dom0", "allow:work")).Error!.Message, Does.Contain("not a valid choice"));
        Assert.That(await call, Is.EqualTo(ErrorCode.PermissionDenied));
        await agent.LeaveAsync();
    }

    [Test]
    public async Task A_vm_is_not_asked_its_own_question_and_cannot_answer_it()
    {
        await using var daemon = await Daemon.OpenAsync(policy: Policy);
        var vault = await StreamedAgent.OpenAsync(daemon, "vault");
        // Only vault could be asked, and it is the one that asks.
        Assert.That(await daemon.RefusalAsync("mgmt.vm.CurrentState vault vault"), Is.EqualTo(ErrorCode.PermissionDenied));

        var dom0 = await StreamedAgent.OpenAsync(daemon);
        var call = daemon.TextAsync("mgmt.vm.CurrentState vault vault");
        var id = (await dom0.NextAsync())["id"];
        Assert.That(await daemon.RefusalAsync($"mgmt.policy.Answer+{id} vault dom0", "allow:vault"), Is.EqualTo(ErrorCode.PermissionDenied));
        Assert.That(call.IsCompleted, Is.False);
        await daemon.TextAsync($"mgmt.policy.Answer+{id} dom0 dom0", "allow:vault");
        Assert.That(await call, Is.Not.Empty);
        Assert.That(vault.HasMore, Is.False);

        // sys-net has a rule for its own questions too.
        var other = await StreamedAgent.OpenAsync(daemon, "sys-net");
        var own = daemon.TextAsync("mgmt.vm.CurrentState sys-net vault");
        await daemon.TextAsync($"mgmt.policy.Answer+{(await other.NextAsync())["id"]} sys-net dom0", "allow:vault");
        Assert.That(await own, Is.Not.Empty);
    }

    [Test]
    public async Task Who_may_not_answer_is_not_told_and_who_may_not_listen_does_not()
    {
        await using var daemon = await Daemon.OpenAsync(policy: Policy);
        var deaf = await StreamedAgent.OpenAsync(daemon, "debian");

        Assert.That(await daemon.RefusalAsync("mgmt.policy.Agent work dom0"), Is.EqualTo(ErrorCode.PermissionDenied), "ask counts as deny");
        Assert.That(await daemon.RefusalAsync(Call), Is.EqualTo(ErrorCode.PermissionDenied));
        Assert.That((daemon.Questions.AgentCount, deaf.HasMore), Is.EqualTo((1, false)));
    }

    [Test]
    public async Task An_agent_that_lost_its_right_is_told_so_instead_of_the_next_question()
    {
        await using var daemon = await Daemon.OpenAsync(policy: Policy);
        var agent = await StreamedAgent.OpenAsync(daemon, "sys-net");
        await File.WriteAllTextAsync(Path.Combine(daemon.PolicyPath, "20-gone.policy"), "mgmt.policy.Agent * sys-net dom0 deny\n");
        await daemon.Policy.ReloadAsync(CancellationToken.None);

        Assert.That(await daemon.RefusalAsync(Call), Is.EqualTo(ErrorCode.PermissionDenied));
        Assert.That(Daemon.Show(await agent.NextAsync()), Is.EqualTo("stream-closed reason=denied"));
        await agent.Stream;
        Assert.That(daemon.Questions.AgentCount, Is.Zero);
    }

    [Test]
    public async Task Questions_beyond_the_bounds_are_denied_and_room_comes_back()
    {
        await using var daemon = await Daemon.OpenAsync(policy: Policy, askLimits: new(TimeSpan.FromSeconds(60)) { Pending = 3, PendingOfSource = 2, Agents = 1 });
        var agent = await StreamedAgent.OpenAsync(daemon);
        Assert.That((await daemon.CallAsync("mgmt.policy.Agent dom0 dom0")).Error!.Code, Is.EqualTo(ErrorCode.MgmtBusyError));
        var first = daemon.TextAsync(Call);
        var id = (await agent.NextAsync())["id"];
        var second = daemon.CallAsync(Call);
        await agent.NextAsync();

        Assert.That(await daemon.RefusalAsync(Call), Is.EqualTo(ErrorCode.PermissionDenied));
        Assert.That(await File.ReadAllTextAsync(daemon.AuditPath), Does.Contain("too many questions of this source are pending"));
        var other = daemon.CallAsync("mgmt.vm.CurrentState sys-net vault");
        await agent.NextAsync();
        Assert.That(await daemon.RefusalAsync("mgmt.vm.CurrentState debian vault"), Is.EqualTo(ErrorCode.PermissionDenied));
        Assert.That(await File.ReadAllTextAsync(daemon.AuditPath), Does.Contain("\"too many questions are pending\""));

        await daemon.TextAsync($"mgmt.policy.Answer+{id} dom0 dom0", "allow:vault");
        await first;
        var third = daemon.CallAsync(Call);
        Assert.That((await agent.NextAsync()).Name, Is.EqualTo("policy-ask-ended"));
        Assert.That((await agent.NextAsync())["source"], Is.EqualTo("work"));
        await agent.LeaveAsync();
        await Task.WhenAll(second, third, other);
    }

    [Test]
    public async Task The_daemons_end_is_told_and_what_waits_is_not_denied_for_it()
    {
        await using var daemon = await Daemon.OpenAsync(policy: Policy);
        var agent = await StreamedAgent.OpenAsync(daemon);
        using var ending = new CancellationTokenSource();
        var call = daemon.CallAsync(Call, cancellation: ending.Token);
        await agent.NextAsync();

        daemon.Questions.Shutdown();
        Assert.That(Daemon.Show(await agent.NextAsync()), Is.EqualTo("stream-closed reason=shutdown"));
        await daemon.Questions.ClosedAsync(Daemon.Deadline);
        Assert.That(call.IsCompleted, Is.False);
        await ending.CancelAsync();
        Assert.That((await call).Error!.Code, Is.EqualTo(ErrorCode.MgmtCancelledError));
    }

    [Test]
    public async Task Questions_are_no_events_that_subscribers_or_the_journal_see()
    {
        await using var daemon = await Daemon.OpenAsync(policy: Policy);
        var agent = await StreamedAgent.OpenAsync(daemon);
        var call = daemon.TextAsync(Call);
        await daemon.TextAsync($"mgmt.policy.Answer+{(await agent.NextAsync())["id"]} dom0 dom0", "allow:vault");
        await call;

        Assert.That(daemon.Store.Journal.Read(0, 100_000).Select(e => e.Event.Name), Has.None.StartsWith("policy-ask"));
    }
}
