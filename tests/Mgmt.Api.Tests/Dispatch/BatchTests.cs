using Mgmt.Core;

namespace Mgmt.Api.Tests.Dispatch;

public sealed class BatchTests
{
    [Test]
    public async Task Each_call_is_answered_as_if_it_came_alone()
    {
        await using var daemon = await Daemon.OpenAsync();

        var alone = await daemon.TextAsync("mgmt.vm.volume.Info+private dom0 vault");
        var text = await daemon.TextAsync("mgmt.Batch dom0 dom0", "mgmt.vm.volume.Info+private vault\nmgmt.vm.tag.Get+none vault\nmgmt.vm.tag.Get+none nosuch\nmgmt.tag.Bad vault\n");

        Assert.That(text, Is.EqualTo(
            $"OK {alone.Length}\n{alone}OK 1\n0QubesVMNotFoundError 24\nNo such domain: 'nosuch'ProtocolError 30\nno such method: 'mgmt.tag.Bad'"));
    }

    [Test]
    public async Task Each_call_is_asked_of_the_policy_and_has_its_audit_line()
    {
        await using var daemon = await Daemon.OpenAsync(policy: "mgmt.Batch * work dom0 allow\nmgmt.vm.tag.List * work vault allow\n");

        var text = await daemon.TextAsync("mgmt.Batch work dom0", "mgmt.vm.tag.List vault\nmgmt.vm.tag.List work\nmgmt.vm.List dom0\n");

        Assert.That(text, Does.StartWith("OK 0\nPermissionDenied "));
        Assert.That(text.Split("PermissionDenied "), Has.Length.EqualTo(3));
        var lines = await File.ReadAllTextAsync(daemon.AuditPath);
        Assert.That(lines.Split('\n').Count(line => line.Contains("\"outcome\":\"PermissionDenied\"", StringComparison.Ordinal)), Is.EqualTo(2));
    }

    [TestCase("mgmt.vm.Start vault\n")]
    [TestCase("mgmt.Events dom0\n")]
    [TestCase("mgmt.policy.Eval dom0\n")]
    [TestCase("mgmt.Batch dom0\n")]
    public async Task What_changes_something_or_takes_a_payload_is_refused_within(string line)
    {
        await using var daemon = await Daemon.OpenAsync();

        Assert.That(await daemon.TextAsync("mgmt.Batch dom0 dom0", line + "mgmt.vm.tag.List vault\n"), Does.StartWith("ProtocolError ").And.EndsWith("OK 0\n"));
        Assert.That(daemon.Events("vault"), Is.Empty);
    }

    [TestCase("mgmt.vm.List dom0", ErrorCode.ProtocolError)]
    [TestCase("\n", ErrorCode.ProtocolError)]
    [TestCase("mgmt.vm.List\n", ErrorCode.ProtocolError)]
    [TestCase("mgmt.vm.List dom0 x\n", ErrorCode.ProtocolError)]
    [TestCase("mgmt.vm.List+a/b dom0\n", ErrorCode.ProtocolError)]
    [TestCase("mgmt.vm.List d\u00e9\n", ErrorCode.QubesValueError)]
    public async Task A_malformed_batch_does_nothing(string payload, ErrorCode code)
    {
        await using var daemon = await Daemon.OpenAsync();

        Assert.That(await daemon.RefusalAsync("mgmt.Batch dom0 dom0", payload), Is.EqualTo(code));
    }

    [Test]
    public async Task Too_many_calls_are_refused()
    {
        await using var daemon = await Daemon.OpenAsync();
        var most = string.Concat(Enumerable.Repeat("mgmt.vm.tag.List vault\n", 4096));

        Assert.That((await daemon.TextAsync("mgmt.Batch dom0 dom0", most)).Split('\n'), Has.Length.EqualTo(4097));
        Assert.That(await daemon.RefusalAsync("mgmt.Batch dom0 dom0", most + "mgmt.vm.tag.List vault\n"), Is.EqualTo(ErrorCode.QubesValueError));
    }
}
