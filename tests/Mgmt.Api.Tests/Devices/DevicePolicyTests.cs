using Mgmt.Core;

namespace Mgmt.Api.Tests.Devices;

/// <summary>What the policy is asked about devices.</summary>
public sealed class DevicePolicyTests
{
    private const string Most = """
        mgmt.vm.device.block.Attach +dom0+sdb work vault allow
        mgmt.vm.device.block.Attach +vault+private work sys-net allow
        mgmt.vm.device.block.Detach +dom0+sdb work vault allow
        mgmt.vm.device.block.List * work vault allow
        mgmt.vm.device.block.Attached * work vault allow
        mgmt.vm.microphone.Attach * work vault allow

        """;

    private static Task<ErrorCode> RefusalAsync(Daemon daemon, string header, string payload = "") => daemon.RefusalAsync(header, payload);

    [Test]
    public async Task Each_call_asks_all_its_questions_and_a_device_id_is_none_of_them()
    {
        await using var daemon = await Daemon.OpenAsync(policy: Most);
        await daemon.StartAsync("vault");
        await daemon.TextAsync("mgmt.vm.device.block.Attach+dom0+sdb+0000+0000++b______ work vault");
        Assert.That(await RefusalAsync(daemon, "mgmt.vm.device.block.Attach+dom0+sdb1 work vault"), Is.EqualTo(ErrorCode.PermissionDenied));
        Assert.That(await RefusalAsync(daemon, "mgmt.vm.device.block.Attach+dom0+file-debian.iso work vault"), Is.EqualTo(ErrorCode.PermissionDenied));
        await daemon.TextAsync("admin.vm.device.block.Detach+dom0+sdb work vault");
        // persistent=yes is an assignment.
        Assert.That(await RefusalAsync(daemon, "mgmt.vm.device.block.Attach+dom0+sdb work vault", "persistent=yes"), Is.EqualTo(ErrorCode.PermissionDenied));
        Assert.That(daemon.Vm("vault").Assignments, Is.Empty);
        await daemon.TextAsync("mgmt.vm.device.block.Assign+dom0+sdb dom0 vault", "mode=auto-attach");
        Assert.That(await RefusalAsync(daemon, "mgmt.vm.device.block.Detach+dom0+sdb work vault"), Is.EqualTo(ErrorCode.PermissionDenied));
        // List is Assigned and Attached.
        Assert.That(await RefusalAsync(daemon, "mgmt.vm.device.block.List work vault"), Is.EqualTo(ErrorCode.PermissionDenied));
        Assert.That(await RefusalAsync(daemon, "mgmt.vm.microphone.Attach work vault"), Is.EqualTo(ErrorCode.PermissionDenied));
        // Reading a volume is copying it.
        Assert.That(await RefusalAsync(daemon, "mgmt.vm.device.block.Attach+vault+private work sys-net"), Is.EqualTo(ErrorCode.PermissionDenied));
    }

    [Test]
    public async Task With_every_question_allowed_the_calls_are()
    {
        await using var daemon = await Daemon.OpenAsync(policy: Most + """
            mgmt.vm.device.block.Assign +dom0+sdb work vault allow
            mgmt.vm.device.block.Unassign +dom0+sdb work vault allow
            mgmt.vm.device.block.Assigned * work vault allow
            mgmt.vm.device.mic.Attach +dom0+mic work vault allow
            mgmt.vm.volume.CloneFrom +private work vault allow
            """);
        await daemon.StartAsync("vault");
        await daemon.TextAsync("mgmt.vm.device.block.Attach+dom0+sdb work vault", "persistent=yes");
        Assert.That(await daemon.TextAsync("mgmt.vm.device.block.List work vault"), Is.EqualTo("dom0+sdb persistent=yes ro=False\n"));
        await daemon.TextAsync("mgmt.vm.device.block.Detach+dom0+sdb work vault");
        await daemon.TextAsync("mgmt.vm.microphone.Attach work vault");
        await daemon.StartAsync("sys-net");
        await daemon.TextAsync("mgmt.vm.device.block.Attach+vault+private work sys-net");
    }

    [Test]
    public async Task Wildcards_never_reach_the_policy()
    {
        await using var daemon = await Daemon.OpenAsync(policy: "mgmt.vm.device.block.Attach * work vault allow\n");
        foreach (var argument in new[] { "_+sdb", "dom0+_", "_" })
        {
            var result = await daemon.CallAsync($"mgmt.vm.device.block.Attach+{argument} work vault");
            Assert.That(result.Error!.Code, Is.EqualTo(ErrorCode.ProtocolError), argument);
        }
    }
}
