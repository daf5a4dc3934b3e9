using Mgmt.Core;

namespace Mgmt.Api.Tests.Dispatch;

/// <summary>What call.Channels tells.</summary>
public sealed class GuestChannelsTests
{
    [Test]
    public async Task Each_vm_that_is_served_has_an_object_by_name()
    {
        await using var daemon = await Daemon.OpenAsync();
        Assert.That(await daemon.TextAsync("mgmt.call.Channels dom0 dom0"), Is.EqualTo("[]"));
        var (work, mail) = (VmName.Parse("work"), VmName.Parse("mail"));
        var first = daemon.Channels.Enter(work, json => json.WriteNumber("calls", 1));
        daemon.Channels.Enter(mail, json => json.WriteNumber("calls", 2));
        Assert.That(await daemon.TextAsync("mgmt.call.Channels dom0 dom0"), Is.EqualTo("""[{"vm":"mail","calls":2},{"vm":"work","calls":1}]"""));
        // Started again before the first run was cleared away.
        using (daemon.Channels.Enter(work, json => json.WriteNumber("calls", 3)))
        {
            first.Dispose();
            Assert.That(await daemon.TextAsync("mgmt.call.Channels dom0 dom0"), Does.EndWith("""{"vm":"work","calls":3}]"""));
        }
        Assert.That(await daemon.TextAsync("mgmt.call.Channels dom0 dom0"), Is.EqualTo("""[{"vm":"mail","calls":2}]"""));
    }

    [Test]
    public async Task A_vm_may_not_look_unless_the_policy_says_so()
    {
        await using var daemon = await Daemon.OpenAsync();
        var result = await daemon.CallAsync("mgmt.call.Channels work dom0");
        Assert.That(result.Error!.Code, Is.EqualTo(ErrorCode.PermissionDenied));
    }
}
