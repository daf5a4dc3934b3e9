using System.Text.Json;
using Mgmt.Core;

namespace Mgmt.Api.Tests.Dispatch;

public sealed class DispatcherTests
{
    private static readonly Caller FrontEnd = new(1000, 2, CallerRole.VmFrontEnd);

    // Each fails at its stage and at all later ones.
    [TestCase("mgmt.no.Such+a work nosuch", "x", ErrorCode.ProtocolError)]
    [TestCase("mgmt.label.Create work nosuch", "", ErrorCode.ProtocolError)]
    [TestCase("mgmt.label.Create+a work nosuch", "", ErrorCode.ProtocolError)]
    [TestCase("mgmt.vm.Start+x work nosuch", "", ErrorCode.ProtocolError)]
    [TestCase("mgmt.vm.Start work nosuch", "x", ErrorCode.ProtocolError)]
    [TestCase("mgmt.label.Create+?? work nosuch", "red", ErrorCode.PermissionDenied)]
    [TestCase("mgmt.label.Create+123 dom0 nosuch", "red", ErrorCode.QubesVMNotFoundError)]
    [TestCase("mgmt.label.Create+123 dom0 work", "red", ErrorCode.ProtocolError)]
    [TestCase("mgmt.label.Create+123 dom0 dom0", "red", ErrorCode.QubesInvalidLabelError)]
    [TestCase("mgmt.vm.Remove dom0 dom0", "", ErrorCode.ProtocolError)]
    public async Task The_first_stage_that_fails_says_why(string header, string payload, ErrorCode code)
    {
        await using var daemon = await Daemon.OpenAsync();

        Assert.That(await daemon.RefusalAsync(header, payload), Is.EqualTo(code));
    }

    [Test]
    public async Task A_denial_looks_the_same_for_what_is_there_and_what_is_not()
    {
        await using var daemon = await Daemon.OpenAsync();

        var there = (await daemon.CallAsync("mgmt.vm.Start work vault")).Error!;
        var missing = (await daemon.CallAsync("mgmt.vm.Start work vaulx")).Error!;

        Assert.That(missing.Code, Is.EqualTo(there.Code));
        Assert.That(missing.Message, Is.EqualTo(there.Message.Replace("vault", "vaulx", StringComparison.Ordinal)));
    }

    [TestCase("dom0")]
    [TestCase("@adminvm")]
    [TestCase("@default")]
    [TestCase("uuid:00000000-0000-0000-0000-000000000000")]
    [TestCase("uuid:{00000000-0000-0000-0000-000000000000}")]
    public async Task A_front_end_is_never_dom0(string source)
    {
        await using var daemon = await Daemon.OpenAsync(policy: "* * * * allow\n");

        Assert.That(await daemon.RefusalAsync($"mgmt.vm.List {source} dom0", caller: FrontEnd), Is.EqualTo(ErrorCode.PermissionDenied));
    }

    [Test]
    public async Task A_source_named_by_uuid_is_the_vm_of_that_name()
    {
        await using var daemon = await Daemon.OpenAsync(policy: "* * @anyvm * allow\n");
        var result = await daemon.CallAsync($"mgmt.vm.Create.AppVM+debian uuid:{daemon.Vm("work").Uuid} dom0", "name=child label=red");

        Assert.That(result.Error, Is.Null);
        Assert.That(daemon.Vm("child").Tags.Single().Value, Is.EqualTo("created-by-work"));
    }

    [Test]
    public async Task A_value_rule_sees_every_spelling_of_a_value()
    {
        await using var daemon = await Daemon.OpenAsync(policy: "mgmt.vm.property.Set +debug+True work vault deny\nmgmt.vm.property.Set +debug work vault allow\n");

        foreach (var truth in (string[])["True", "true", "1", "yes", "ON"])
        {
            Assert.That(await daemon.RefusalAsync("mgmt.vm.property.Set+debug work vault", truth), Is.EqualTo(ErrorCode.PermissionDenied), truth);
        }
        Assert.That((await daemon.CallAsync("mgmt.vm.property.Set+debug work vault", "0")).Error, Is.Null);
    }

    [Test]
    public async Task A_caller_that_is_gone_changes_nothing()
    {
        await using var daemon = await Daemon.OpenAsync();

        var result = await daemon.CallAsync("mgmt.vm.Start dom0 vault", gone: true);

        Assert.That(result.Error!.Code, Is.EqualTo(ErrorCode.MgmtCancelledError));
        Assert.That(daemon.Events("vault"), Is.Empty);
    }

    [Test]
    public async Task An_audit_log_on_a_full_disk_refuses_changes_and_serves_reads()
    {
        await using var daemon = await Daemon.OpenAsync(audit: "/dev/full", auditRequired: true);
        await daemon.TextAsync("mgmt.vm.List dom0 dom0");

        for (var i = 0; i < 3; i++)
        {
            Assert.That(await daemon.RefusalAsync("mgmt.vm.Start dom0 vault"), Is.EqualTo(ErrorCode.MgmtUnavailableError));
            await daemon.TextAsync("mgmt.vm.List dom0 dom0");
        }
    }

    [Test]
    public async Task An_audit_line_is_json_whatever_the_caller_says()
    {
        await using var daemon = await Daemon.OpenAsync();
        await daemon.CallAsync("mgmt.vm.Get\"\\\n\u0001+\ud800 wo\"rk no\u007fsuch");
        await daemon.TextAsync("mgmt.vm.List dom0 dom0");

        foreach (var line in await File.ReadAllLinesAsync(daemon.AuditPath))
        {
            using var json = JsonDocument.Parse(line);
            Assert.That(json.RootElement.GetProperty("outcome").GetString(), Is.Not.Empty);
        }
    }

    [Test]
    public async Task A_bug_is_an_incident_without_its_message()
    {
        await using var daemon = await Daemon.OpenAsync(groups: [new Broken()]);

        var error = (await daemon.CallAsync("mgmt.Bug dom0 dom0")).Error ?? throw new AssertionException("no error");

        Assert.That(error.Code, Is.EqualTo(ErrorCode.MgmtInternalError));
        Assert.That(error.Message, Does.Not.Contain("secret"));
        Assert.That(await File.ReadAllTextAsync(daemon.AuditPath), Does.Contain(error.Fields[0]));
        Assert.That(await daemon.RefusalAsync("mgmt.Timeout dom0 dom0"), Is.EqualTo(ErrorCode.MgmtInternalError), "a time-out inside is no cancellation by the caller");
    }

    [Test]
    public void Every_row_says_what_it_is()
    {
        var rows = CallGroups.ForReading().Rows;

        Assert.That(rows.Select(r => r.Name), Is.Unique);
        Assert.That(rows, Has.All.Matches<CallRow>(r => r is not null && Enum.IsDefined(r.Access) && Enum.IsDefined(r.Scope) && Enum.IsDefined(r.Target) && r.Summary.Length > 0));
        foreach (var row in rows)
        {
            Assert.That(CallGroups.ForReading().Find(CallQuestion.Full(row.Name), out _).Name, Is.EqualTo(row.Name));
            if (row.Dialects == CallDialects.Mgmt)
            {
                Assert.Throws<MgmtException>(() => CallGroups.ForReading().Find("admin." + row.Name, out _));
            }
        }
    }

    private sealed class Broken : ICallGroup
    {
        public IEnumerable<CallRow> Rows =>
        [
            Row("Bug", () => new InvalidOperationException("secret")), Row("Timeout", () => new TaskCanceledException("secret")),
        ];

        private static CallRow Row(string name, Func<Exception> error) =>
            new(name, CallTarget.Dom0, CallAccess.Read, CallScope.Host, ArgumentRule.None, PayloadRule.None, CallDialects.Mgmt, "Fails.", (_, _) => throw error());
    }
}
