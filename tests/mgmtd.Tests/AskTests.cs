using System.Diagnostics;
using System.Text.Json;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>Ask rules with the real daemon: an agent of qrexec's own protocol, agents by a stream, and none.</summary>
[NonParallelizable]
[CancelAfter(120_000)]
public sealed class AskTests : DaemonFixture
{
    protected override DaemonOptions Options => new() { Policy = Rules("mgmt.vm.CurrentState * work vault ask default_target=vault\nmgmt.vm.tag.Set * work vault ask\nmgmt.Events * sys-net * allow\nmgmt.vm.tag.Get * sys-net * allow\n") };

    [Test]
    public async Task An_agent_of_policy_Ask_gets_what_qrexec_sends_and_its_yes_lets_the_call_through()
    {
        using var agent = TestAgent.Of(Daemon);
        var call = Daemon.OkAsync("mgmt.vm.CurrentState", "vault", source: "work");
        var question = await agent.NextAsync();
        var label = await Daemon.OkAsync("mgmt.vm.property.Get", "vault", "icon");
        Assert.That(question.Text, Is.EqualTo("policy.Ask dom0 name dom0\0{\"source\":\"work\",\"service\":\"mgmt.vm.CurrentState\",\"argument\":\"\\u002B\",\"targets\":[\"vault\"],"
            + $"\"default_target\":\"vault\",\"icons\":{{\"work\":\"appvm-red\",\"vault\":\"{label.Split(' ')[^1]}\"}}}}"));
        Assert.That(question.Json.GetProperty("argument").GetString(), Is.EqualTo("+"));
        await question.AnswerAsync("allow:vault");

        Assert.That(await call, Does.Contain("power_state=Halted"));
        var line = Audit("mgmt.vm.CurrentState");
        Assert.That((line.GetProperty("decision").GetString(), line.GetProperty("reason").GetString(), line.GetProperty("outcome").GetString()), Is.EqualTo(("allow", "allowed by the user 20-ask.policy:1", "OK")));
    }

    [TestCase("deny", "denied by the user 20-ask.policy:2")]
    [TestCase("allow:work", "target work is not a valid choice")]
    [TestCase("nonsense", "the agent's answer was neither allow:TARGET nor deny")]
    [TestCase("\xff\xfe", "the agent's answer was neither allow:TARGET nor deny")]
    [TestCase("", "no agent")]
    public async Task Anything_else_denies_and_changes_nothing(string answer, string reason)
    {
        using var agent = TestAgent.Of(Daemon);
        var call = Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.vm.tag.Set", "vault", "denied", source: "work");
        await (await agent.NextAsync()).AnswerAsync(answer);

        Assert.That((await call).Message, Is.EqualTo("Denied by policy: mgmt.vm.tag.Set from work to vault"));
        Assert.That(Audit("mgmt.vm.tag.Set").GetProperty("reason").GetString(), Is.EqualTo(reason));
        Assert.That(await Daemon.OkAsync("mgmt.vm.tag.List", "vault"), Does.Not.Contain("denied"));
    }

    [Test]
    public async Task Without_an_agent_it_is_denied_and_the_audit_line_says_so()
    {
        // That one of another test went away is noticed within a second.
        while (await AskAsync("agents") > 0)
        {
            await Task.Delay(20);
        }
        await Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.vm.CurrentState", "vault", source: "work");
        Assert.That(Audit("mgmt.vm.CurrentState").GetProperty("reason").GetString(), Is.EqualTo("no agent"));
    }

    [Test]
    public async Task A_caller_that_goes_away_takes_its_question_along()
    {
        using var agent = TestAgent.Of(Daemon);
        using (var socket = await Daemon.ConnectAsync())
        {
            await socket.SendAsync("mgmt.vm.tag.Set+gone work name vault\0"u8.ToArray());
            socket.Shutdown(System.Net.Sockets.SocketShutdown.Send);
            var question = await agent.NextAsync();
            Assert.That(await PendingAsync(), Is.EqualTo(1));
            socket.Dispose();
            await question.GivenUpAsync();
        }
        Assert.That(await PendingAsync(), Is.Zero);
        Assert.That(await Daemon.OkAsync("mgmt.vm.tag.List", "vault"), Does.Not.Contain("gone"));
    }

    [Test]
    public async Task A_policy_that_denies_while_a_question_waits_denies_whatever_is_answered()
    {
        using var agent = TestAgent.Of(Daemon);
        var call = Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.vm.CurrentState", "vault", source: "work");
        var question = await agent.NextAsync();
        await Daemon.WritePolicyAsync("10-no.policy", "admin.vm.CurrentState * work @anyvm deny\n");
        await question.AnswerAsync("allow:vault");
        await call;
        Assert.That(Audit("mgmt.vm.CurrentState").GetProperty("reason").GetString(), Is.EqualTo("denied by policy 10-no.policy:1"));
        await Daemon.WritePolicyAsync("10-no.policy", "# nothing\n");
    }

    [Test]
    public async Task An_agent_by_a_stream_answers_and_subscribers_see_nothing_of_it()
    {
        await using var events = await Daemon.EventsAsync("", source: "sys-net");
        await using var agent = await Daemon.EventsAsync(method: "mgmt.policy.Agent");
        Assert.That(await AskAsync("agents"), Is.GreaterThanOrEqualTo(1));
        var call = Daemon.OkAsync("mgmt.vm.tag.Set", "vault", "streamed", source: "work");
        var asked = await agent.NextAsync("policy-ask");
        Assert.That((asked["service"], asked["argument"], asked["targets"], asked["default"]), Is.EqualTo(("mgmt.vm.tag.Set", "+streamed", "vault", "")));
        Assert.That(await Daemon.OkAsync("mgmt.call.List"), Does.Contain("method=mgmt.vm.tag.Set source=work target=vault "));
        await Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.policy.Answer", "dom0", asked["id"]!, "allow:vault", "work");
        await Daemon.OkAsync("mgmt.policy.Answer", "dom0", asked["id"]!, "allow:vault");

        await call;
        Assert.That((await agent.NextAsync("policy-ask-ended"))["outcome"], Is.EqualTo("allow"));
        var seen = await events.UntilAsync(e => e.Name == "domain-tag-add:streamed");
        Assert.That(seen.Select(e => e.Name), Has.None.StartsWith("policy-ask"));
    }

    [Test]
    public async Task A_question_ends_when_its_only_agent_leaves()
    {
        var agent = await Daemon.EventsAsync(method: "mgmt.policy.Agent");
        var call = Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.vm.CurrentState", "vault", source: "work");
        await agent.NextAsync("policy-ask");
        await agent.DisposeAsync();
        await call;
        Assert.That(Audit("mgmt.vm.CurrentState").GetProperty("reason").GetString(), Is.EqualTo("no agent: the last one went away"));
    }

    [Test]
    public async Task A_waiting_call_is_cancelled_by_its_number()
    {
        using var agent = TestAgent.Of(Daemon);
        var call = Daemon.RefusedAsync(ErrorCode.MgmtCancelledError, "mgmt.vm.tag.Set", "vault", "cancelled", source: "work");
        var question = await agent.NextAsync();
        var id = (await Daemon.OkAsync("mgmt.call.List")).Split('\n').Single(l => l.Contains("method=mgmt.vm.tag.Set", StringComparison.Ordinal)).Split(' ')[0];
        await Daemon.OkAsync("mgmt.call.Cancel", "dom0", id);
        Assert.That((await call).Message, Is.EqualTo("The call was cancelled"));
        await question.GivenUpAsync();
    }

    [Test]
    public async Task Nobody_who_answers_in_time_denies_and_a_daemon_that_stops_ends_what_waits()
    {
        await using var daemon = await DaemonProcess.StartAsync(new DaemonOptions { Config = """{ "ask-timeout-s": 1 }""", Policy = Rules("mgmt.vm.CurrentState * work vault ask\n") });
        using (var agent = TestAgent.Of(daemon))
        {
            var call = daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.vm.CurrentState", "vault", source: "work");
            var question = await agent.NextAsync();
            await call;
            await question.GivenUpAsync();
            Assert.That(daemon.Audit()[^1].GetProperty("reason").GetString(), Is.EqualTo("no answer in time"));
        }
        await using var other = await DaemonProcess.StartAsync(new DaemonOptions { Policy = Rules("mgmt.vm.CurrentState * work vault ask\n") });
        await using var stream = await other.EventsAsync(method: "mgmt.policy.Agent");
        var waiting = other.RefusedAsync(ErrorCode.MgmtCancelledError, "mgmt.vm.CurrentState", "vault", source: "work");
        await stream.NextAsync("policy-ask");
        Assert.That(await other.StopAsync(), Is.Zero);
        await waiting;
        Assert.That((await stream.NextAsync("stream-closed"))["reason"], Is.EqualTo("shutdown"));
    }

    [Test]
    public async Task Somebody_at_a_terminal_answers_with_mgmtctl()
    {
        var program = Path.Combine(Repository.Root, "out", "bin", "mgmtctl");
        if (!File.Exists(program))
        {
            Requirement.Missing(program);
        }
        using var terminal = Process.Start(new ProcessStartInfo("script", ["-q", "-e", "-c", $"{program} --socket {Daemon.SocketPath} policy agent", "/dev/null"]) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        var shown = terminal.StandardOutput;
        Assert.That(await shown.ReadLineAsync(), Does.StartWith("waiting for questions"));
        var call = Daemon.OkAsync("mgmt.vm.tag.Set", "vault", "typed", source: "work");
        while (await shown.ReadLineAsync() is { } line && !line.Contains("asked by", StringComparison.Ordinal))
        {
        }
        // Not in the first moment: it is pressed until it counts.
        while (!call.IsCompleted)
        {
            await terminal.StandardInput.WriteAsync("1");
            await terminal.StandardInput.FlushAsync();
            await Task.WhenAny(call, Task.Delay(20));
        }
        await call;
        await terminal.StandardInput.WriteAsync("\x03");
        await terminal.StandardInput.FlushAsync();
        Assert.That(await shown.ReadToEndAsync(), Does.Contain("allowed: vault"));
        await terminal.WaitForExitAsync();
        Assert.That(await Daemon.OkAsync("mgmt.vm.tag.List", "vault"), Does.Contain("typed"));
    }

    private static Dictionary<string, string> Rules(string text) => new(StringComparer.Ordinal) { ["20-ask.policy"] = text };

    private async Task<int> AskAsync(string member) => JsonDocument.Parse(await Daemon.OkAsync("mgmt.Status")).RootElement.GetProperty("ask").GetProperty(member).GetInt32();

    private Task<int> PendingAsync() => AskAsync("pending");

    private JsonElement Audit(string method) => Daemon.Audit().Last(l => l.TryGetProperty("method", out var name) && name.GetString() == method && l.GetProperty("source").GetString() == "work");
}
