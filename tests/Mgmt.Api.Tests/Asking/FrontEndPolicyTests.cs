using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Api.Tests.Asking;

/// <summary>What a qrexec front end is told, and what a yes that it got is worth.</summary>
public sealed class FrontEndPolicyTests
{
    private const string Policy = """
        mgmt.vm.CurrentState * work vault ask
        mgmt.vm.CurrentState * work sys-net allow
        mgmt.vm.property.Set +netvm+sys-net work vault allow
        mgmt.vm.property.Set +memory work vault ask
        mgmt.vm.property.Set +label work vault deny
        mgmt.Events * work dom0 ask
        mgmt.vm.Start * work @anyvm allow target=vault
        qubes.Copy * work vault ask default_target=vault
        qubes.Copy * work sys-net ask
        qubes.Open * work vault allow user=root autostart=no
        qubes.Self * @anyvm @anyvm allow

        """;

    private const string Allowed = "user=DEFAULT\nresult=allow\ntarget=dom0\nautostart=True\nrequested_target=";

    [TestCase("mgmt.vm.CurrentState", "sys-net", Allowed + "sys-net")]
    [TestCase("admin.vm.CurrentState", "uuid:5e7ab1e0-0000-4000-8000-000000000002", Allowed + "uuid:5e7ab1e0-0000-4000-8000-000000000002")]
    [TestCase("mgmt.vm.CurrentState", "work", "result=deny")]
    [TestCase("mgmt.vm.CurrentState", "@dispvm", "result=deny")]
    [TestCase("mgmt.vm.Start", "sys-net", "result=deny")]
    [TestCase("mgmt.no.Such", "sys-net", "result=deny")]
    [TestCase("mgmt.Events", "dom0", "result=deny")]
    [TestCase("mgmt.vm.property.Set+netvm", "vault", Allowed + "vault")]
    [TestCase("mgmt.vm.property.Set+memory", "vault", Allowed + "vault")]
    [TestCase("mgmt.vm.property.Set+label", "vault", "result=deny")]
    [TestCase("mgmt.vm.property.Set+netvm", "sys-net", "result=deny")]
    [TestCase("qubes.Self", "work", "result=deny")]
    [TestCase("qubes.Open", "vault", "result=deny")]
    [TestCase("qubes.None", "vault", "result=deny")]
    public async Task What_needs_nobody_is_answered_at_once(string call, string target, string answer)
    {
        var agent = new SocketAgent();
        await using var daemon = await Daemon.OpenAsync(policy: Policy, askSockets: agent);

        Assert.That(await DecideAsync(daemon, call, target), Is.EqualTo(answer));
        Assert.That(agent.Asked, Is.Zero);
    }

    [Test]
    public async Task A_yes_that_the_front_end_got_is_good_for_one_call_within_a_minute()
    {
        var (agent, clock) = (new SocketAgent(), new ManualTime());
        await using var daemon = await Daemon.OpenAsync(policy: Policy, clock: clock, askSockets: agent);

        await YesAsync(daemon, agent);
        clock.Advance(59_000);
        await daemon.TextAsync("admin.vm.CurrentState work vault");
        Assert.That(agent.Asked, Is.EqualTo(1), "one question is enough");

        var second = daemon.RefusalAsync("mgmt.vm.CurrentState work vault");
        (await agent.NextAsync()).Answer.SetResult("deny");
        Assert.That(await second, Is.EqualTo(ErrorCode.PermissionDenied), "and only for one call");

        await YesAsync(daemon, agent);
        clock.Advance(60_000);
        var late = daemon.RefusalAsync("mgmt.vm.CurrentState work vault");
        (await agent.NextAsync()).Answer.SetResult("deny");
        Assert.That(await late, Is.EqualTo(ErrorCode.PermissionDenied), "and not for ever");
    }

    [Test]
    public async Task A_yes_is_for_the_same_source_target_and_argument_and_for_that_vm()
    {
        var agent = new SocketAgent();
        await using var daemon = await Daemon.OpenAsync(policy: Policy + "mgmt.vm.CurrentState * @anyvm @anyvm ask\n", askSockets: agent);
        await YesAsync(daemon, agent);
        foreach (var other in new[] { "mgmt.vm.CurrentState sys-net vault", "mgmt.vm.CurrentState work debian" })
        {
            var call = daemon.RefusalAsync(other);
            (await agent.NextAsync()).Answer.SetResult("deny");
            Assert.That(await call, Is.EqualTo(ErrorCode.PermissionDenied), other);
        }
        await daemon.TextAsync("mgmt.vm.Remove dom0 vault");
        await daemon.TextAsync("mgmt.vm.Create.AppVM+debian dom0 dom0", "name=vault label=red");
        var replaced = daemon.RefusalAsync("mgmt.vm.CurrentState work vault");
        (await agent.NextAsync()).Answer.SetResult("deny");
        Assert.That(await replaced, Is.EqualTo(ErrorCode.PermissionDenied));
    }

    [Test]
    public async Task A_deny_after_the_yes_denies_and_a_no_or_an_assumed_yes_is_not_remembered()
    {
        var agent = new SocketAgent();
        await using var daemon = await Daemon.OpenAsync(policy: Policy, askSockets: agent);
        Assert.That(await DecideAsync(daemon, "mgmt.vm.CurrentState", "vault", assumeYes: true), Is.EqualTo(Allowed + "vault"));
        var no = DecideAsync(daemon, "mgmt.vm.CurrentState", "vault");
        (await agent.NextAsync()).Answer.SetResult("deny");
        Assert.That(await no, Is.EqualTo("result=deny"));
        var call = daemon.RefusalAsync("mgmt.vm.CurrentState work vault");
        (await agent.NextAsync()).Answer.SetResult("deny");
        Assert.That(await call, Is.EqualTo(ErrorCode.PermissionDenied));

        await YesAsync(daemon, agent);
        await File.WriteAllTextAsync(Path.Combine(daemon.PolicyPath, "20-no.policy"), "mgmt.vm.CurrentState * work vault deny\n");
        await daemon.Policy.ReloadAsync(CancellationToken.None);
        Assert.That(await daemon.RefusalAsync("mgmt.vm.CurrentState work vault"), Is.EqualTo(ErrorCode.PermissionDenied));
    }

    [TestCase("allow:vault", "user=DEFAULT\nresult=allow\ntarget=vault\ntarget_uuid=uuid:5e7ab1e0-0000-4000-8000-000000000004\nautostart=True\nrequested_target=sys-net")]
    [TestCase("allow:debian", "result=deny")]
    [TestCase("deny", "result=deny")]
    public async Task Of_another_service_somebody_chooses_the_target(string said, string answer)
    {
        var agent = new SocketAgent();
        await using var daemon = await Daemon.OpenAsync(policy: Policy, askSockets: agent);
        var decision = DecideAsync(daemon, "qubes.Copy+x", "sys-net");
        var (question, choose) = await agent.NextAsync();
        Assert.That((question.Source, question.Service, question.Argument, string.Join(' ', question.Targets), question.DefaultTarget), Is.EqualTo(("work", "qubes.Copy", "+x", "sys-net vault", (string?)null)));
        choose.SetResult(said);

        Assert.That(await decision, Is.EqualTo(answer));
    }

    [Test]
    public async Task A_choice_that_the_policy_denies_by_then_is_denied()
    {
        var agent = new SocketAgent();
        await using var daemon = await Daemon.OpenAsync(policy: Policy, askSockets: agent);
        var decision = DecideAsync(daemon, "qubes.Copy", "sys-net");
        var (_, choose) = await agent.NextAsync();
        await File.WriteAllTextAsync(Path.Combine(daemon.PolicyPath, "20-no.policy"), "qubes.Copy * work vault deny\n");
        await daemon.Policy.ReloadAsync(CancellationToken.None);
        choose.SetResult("allow:vault");

        Assert.That(await decision, Is.EqualTo("result=deny"));
        Assert.That(await File.ReadAllTextAsync(daemon.AuditPath), Does.Contain("target vault is not a valid choice"));
    }

    [TestCase("dom0")]
    [TestCase("@adminvm")]
    [TestCase("uuid:00000000-0000-0000-0000-000000000000")]
    public async Task A_front_end_does_not_speak_for_dom0(string source)
    {
        await using var daemon = await Daemon.OpenAsync(policy: "* * * * allow\n");
        var request = new FrontEndRequest(source, "vault", "mgmt.vm.CurrentState", "+");

        Assert.That(await daemon.FrontEnd.DecideAsync(request, new(1000, 2, CallerRole.VmFrontEnd), CancellationToken.None), Is.EqualTo("result=deny"));
        Assert.That(await daemon.FrontEnd.DecideAsync(request, Daemon.Root, CancellationToken.None), Is.EqualTo(Allowed + "vault"));
    }

    [TestCase(false, "mgmt.vm.CurrentState", "sys-net", "result=allow")]
    [TestCase(false, "mgmt.vm.CurrentState", "vault", "result=deny")]
    [TestCase(true, "mgmt.vm.CurrentState", "vault", "result=allow")]
    [TestCase(true, "mgmt.Events", "dom0", "result=deny")]
    [TestCase(false, "qubes.Copy", "vault", "result=deny")]
    [TestCase(true, "qubes.Copy", "vault", "result=allow")]
    [TestCase(true, "qubes.Copy", "debian", "result=deny")]
    [TestCase(false, "qubes.Self", "work", "result=allow")]
    public async Task Just_evaluating_asks_and_tells_nobody(bool assumeYes, string call, string target, string answer)
    {
        var agent = new SocketAgent();
        await using var daemon = await Daemon.OpenAsync(policy: Policy, askSockets: agent);

        Assert.That(await DecideAsync(daemon, call, target, assumeYes, justEvaluate: true), Is.EqualTo(answer));
        Assert.That((agent.Asked, (await File.ReadAllTextAsync(daemon.AuditPath)).Length), Is.EqualTo((0, 0)));
    }

    private static async Task YesAsync(Daemon daemon, SocketAgent agent)
    {
        var decision = DecideAsync(daemon, "mgmt.vm.CurrentState", "vault");
        (await agent.NextAsync()).Answer.SetResult("allow:vault");
        Assert.That(await decision, Is.EqualTo(Allowed + "vault"));
    }

    private static Task<string> DecideAsync(Daemon daemon, string call, string target, bool assumeYes = false, bool justEvaluate = false)
    {
        var words = call.Split('+');
        return daemon.FrontEnd.DecideAsync(new("work", target, words[0], "+" + (words.Length > 1 ? words[1] : "")) { AssumeYes = assumeYes, JustEvaluate = justEvaluate }, Daemon.Root, CancellationToken.None)
            .WaitAsync(Daemon.Deadline);
    }
}
