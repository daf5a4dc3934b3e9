using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>Rule files that change while the daemon runs.</summary>
public sealed class PolicyChangeTests : DaemonFixture
{
    [Test]
    public async Task A_new_file_is_in_force_when_the_daemon_says_so()
    {
        Assert.That((await Daemon.WritePolicyAsync("10-new.policy", "mgmt.vm.CurrentState * vault vault allow\n")).Name, Is.EqualTo("policy-loaded"));
        await Daemon.OkAsync("mgmt.vm.CurrentState", "vault", source: "vault");
        await Daemon.WritePolicyAsync("10-new.policy", "# nothing\n");
        await Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.vm.CurrentState", "vault", source: "vault");
    }

    [Test]
    public async Task A_broken_file_leaves_the_last_good_set_in_force_also_over_a_restart()
    {
        await Daemon.WritePolicyAsync("10-good.policy", "mgmt.vm.tag.List * vault vault allow\n");
        var degraded = await Daemon.WritePolicyAsync("11-broken.policy", "# a comment\nmgmt.vm.tag.List * vault\n");
        Assert.That(degraded.Name, Is.EqualTo("policy-degraded"));
        Assert.That(degraded["file"], Does.EndWith("11-broken.policy"));
        Assert.That(degraded["line"], Is.EqualTo("2"));
        Assert.That(degraded["message"], Is.Not.Empty);
        await Stale();
        await Daemon.RestartAsync();
        await Stale();
        Assert.That((await Daemon.WritePolicyAsync("11-broken.policy", "# mended\n")).Name, Is.EqualTo("policy-loaded"));
        await Daemon.OkAsync("mgmt.vm.tag.List", "vault", source: "vault");
        Assert.That(LastAudit().TryGetProperty("policy", out _), Is.False);

        // A stream's line comes at its end, between those of other calls.
        System.Text.Json.JsonElement LastAudit() => Daemon.Audit("mgmt.vm.tag.List")[^1];

        async Task Stale()
        {
            await Daemon.OkAsync("mgmt.vm.tag.List", "vault", source: "vault");
            Assert.That(LastAudit().GetProperty("policy").GetString(), Does.StartWith("stale since="));
            Assert.That(await Daemon.OkAsync("mgmt.Status"), Does.Contain("\"state\": \"stale\"").And.Contain("11-broken.policy:2"));
        }
    }

    [Test]
    public async Task A_stream_that_is_no_longer_allowed_ends_with_a_reason()
    {
        await Daemon.WritePolicyAsync("12-stream.policy", "mgmt.Events * vault vault allow\nmgmt.vm.tag.Get * vault vault allow\n");
        await using var events = await Daemon.EventsAsync("", "vault", "vault");
        await Daemon.WritePolicyAsync("12-stream.policy", "# nothing\n");
        var rest = await events.ToEndAsync();
        Assert.That(rest.Select(e => e.Name), Is.EqualTo(new[] { "stream-closed" }));
        Assert.That(rest[0]["reason"], Is.EqualTo("denied"));
    }
}
