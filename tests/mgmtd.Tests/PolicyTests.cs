using Mgmt.Core;
using Mgmt.Testing;
using Mgmt.Wire;

namespace Mgmt.Daemon.Tests;

public sealed class PolicyTests : DaemonFixture
{
    protected override DaemonOptions Options => new()
    {
        Policy = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["20-test.policy"] = """
                mgmt.vm.CurrentState * work vault allow
                mgmt.vm.tag.List * work @tag:mine allow target=dom0
                mgmt.vm.tag.List * work @type:TemplateVM allow
                mgmt.vm.feature.List * work @anyvm ask default_target=dom0
                mgmt.vm.volume.List * work @anyvm allow target=vault
                mgmt.vm.property.Set +netvm+sys-net work @anyvm allow
                mgmt.vm.property.Set +netvm work @anyvm deny
                admin.vm.property.Get +label work @anyvm allow
                mgmt.vm.property.Get +memory @tag:nosy vault deny notify=yes
                mgmt.vm.property.Get * work vault allow notify=yes
                mgmt.vm.Create.AppVM +debian work dom0 allow
                mgmt.vm.tag.Set * work @tag:created-by-work allow
                mgmt.vm.tag.Remove * work @tag:created-by-work allow
                mgmt.label.Get +red vault @adminvm allow
                mgmt.label.Get * dom0 @adminvm deny

                """,
        },
    };

    [Test]
    public async Task A_rule_for_one_vm_allows_that_vm_only()
    {
        Assert.That(await Daemon.OkAsync("mgmt.vm.CurrentState", "vault", source: "work"), Does.Contain("power_state=Halted"));
        await Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.vm.CurrentState", "sys-net", source: "work");
        await Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.vm.CurrentState", "vault", source: "sys-net");
        var uuid = await Daemon.OkAsync("mgmt.vm.CurrentState", "uuid:5e7ab1e0-0000-4000-8000-000000000004", source: "work");
        Assert.That(uuid, Does.Contain("power_state=Halted"));
    }

    [Test]
    public async Task Rules_by_tag_and_type_follow_the_vm()
    {
        await Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.vm.tag.List", "vault", source: "work");
        await Daemon.OkAsync("mgmt.vm.tag.Set", "vault", "mine");
        Assert.That(await Daemon.OkAsync("mgmt.vm.tag.List", "vault", source: "work"), Is.EqualTo("mine\n"));
        await Daemon.OkAsync("mgmt.vm.tag.Remove", "vault", "mine");
        await Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.vm.tag.List", "vault", source: "work");
        await Daemon.OkAsync("mgmt.vm.tag.List", "debian", source: "work");
    }

    [Test]
    public async Task A_value_rule_allows_one_value_only()
    {
        await Daemon.OkAsync("mgmt.vm.property.Set", "vault", "netvm", "sys-net", "work");
        await Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.vm.property.Set", "vault", "netvm", "", "work");
        await Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.vm.property.Set", "vault", "netvm", "work", "work");
        await Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.vm.property.Set", "vault", "memory", "500", "work");
        await Daemon.OkAsync("mgmt.vm.property.Set", "vault", "netvm", "");
    }

    [TestCase("mgmt.vm.property.Get")]
    [TestCase("admin.vm.property.Get")]
    public async Task A_rule_for_one_name_of_a_call_counts_for_the_other(string method) =>
        Assert.That(await Daemon.OkAsync(method, "sys-net", "label", source: "work"), Does.EndWith("type=label red"));

    [Test]
    public async Task Ask_with_nobody_to_ask_is_a_denial_that_says_so_in_the_audit_log()
    {
        await Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.vm.feature.List", "vault", source: "work");
        var line = Daemon.Audit("mgmt.vm.feature.List")[^1];
        Assert.That(line.GetProperty("decision").GetString(), Is.EqualTo("deny"));
        Assert.That(line.GetProperty("reason").GetString(), Is.EqualTo("no agent"));
        Assert.That(line.GetProperty("rule").GetString(), Does.EndWith("20-test.policy:4"));
    }

    [Test]
    public async Task A_redirect_to_a_vm_is_refused()
    {
        await Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.vm.volume.List", "work", source: "work");
        Assert.That(Daemon.Audit("mgmt.vm.volume.List")[^1].GetProperty("reason").GetString(), Does.Contain("redirects"));
    }

    [Test]
    public async Task A_file_may_deny_dom0_and_the_builtin_rule_lets_it_do_the_rest()
    {
        await Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.label.Get", "dom0", "red");
        await Daemon.OkAsync("mgmt.label.Index", "dom0", "red");
        Assert.That(Daemon.Audit("mgmt.label.Index")[^1].GetProperty("rule").GetString(), Is.EqualTo("builtin:1"));
        Assert.That(await Daemon.OkAsync("mgmt.label.Get", "dom0", "red", source: "vault"), Is.EqualTo("0xcc0000"));
        await Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.label.Get", "dom0", "blue", source: "vault");
    }

    [Test]
    public async Task A_rule_with_notify_makes_an_event()
    {
        await using var events = await Daemon.EventsAsync("event=policy-notify");
        await Daemon.OkAsync("mgmt.vm.property.Get", "vault", "vcpus", source: "work");
        // Notices are told after the reply: one of another test may come first.
        var notice = (await events.UntilAsync(e => e["source"] == "work" && e["argument"] == "+vcpus"))[^1];
        Assert.That(notice.Pairs.Select(p => $"{p.Key}={p.Value}").Take(5),
            Is.EqualTo(new[] { "source=work", "target=vault", "service=mgmt.vm.property.Get", "argument=+vcpus", "decision=allow" }));
        Assert.That(notice["rule"], Does.EndWith("20-test.policy:10"));
    }

    [Test]
    public async Task Tags_that_grant_are_only_dom0s_to_change()
    {
        await Daemon.OkAsync("mgmt.vm.Create.AppVM", "dom0", "debian", "name=granted label=red", "work");
        Assert.That(await Daemon.OkAsync("mgmt.vm.tag.List", "granted"), Is.EqualTo("created-by-work\n"));
        await Daemon.OkAsync("mgmt.vm.tag.Set", "granted", "any", source: "work");
        foreach (var tag in new[] { "created-by-vault", "disp-created-by-x", "managed-by-x", "backup-x", "guivm-x", "audiovm-x" })
        {
            await Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.vm.tag.Set", "granted", tag, source: "work");
        }
        await Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.vm.tag.Remove", "granted", "created-by-work", source: "work");
        await Daemon.OkAsync("mgmt.vm.tag.Set", "granted", "managed-by-vault");
    }

    [Test]
    public async Task An_audit_line_tells_who_what_by_which_rule_and_how_it_ended()
    {
        await Daemon.OkAsync("mgmt.vm.CurrentState", "vault", source: "work");
        var line = Daemon.Audit("mgmt.vm.CurrentState")[^1];
        Assert.That(line.GetProperty("source").GetString(), Is.EqualTo("work"));
        Assert.That(line.GetProperty("target").GetString(), Is.EqualTo("vault"));
        Assert.That(line.GetProperty("decision").GetString(), Is.EqualTo("allow"));
        Assert.That(line.GetProperty("rule").GetString(), Does.EndWith("20-test.policy:1"));
        Assert.That(line.GetProperty("outcome").GetString(), Is.EqualTo("OK"));
        Assert.That(line.GetProperty("ms").GetDouble(), Is.GreaterThanOrEqualTo(0));
        Assert.That(line.GetProperty("uid").GetInt64(), Is.EqualTo(Environment.IsPrivilegedProcess ? 0 : line.GetProperty("uid").GetInt64()));
    }

    [Test]
    public async Task A_value_is_never_in_the_audit_log()
    {
        await Daemon.OkAsync("mgmt.vm.feature.Set", "vault", "secret", "hunter2");
        Assert.That(await File.ReadAllTextAsync(Path.Combine(Daemon.StateDirectory, "audit.log")), Does.Not.Contain("hunter2"));
    }
}
