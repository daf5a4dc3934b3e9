using Mgmt.Core;
using Mgmt.Policy;

namespace Mgmt.Api.Tests.PolicyFiles;

public sealed class PolicyCallsTests
{
    private const string Grant = "mgmt.vm.CurrentState * work vault allow\n";

    [Test]
    public async Task A_file_is_made_read_replaced_and_removed_and_each_is_in_force_at_once()
    {
        await using var daemon = await Daemon.OpenAsync();
        Assert.That(await daemon.RefusalAsync("mgmt.vm.CurrentState work vault"), Is.EqualTo(ErrorCode.PermissionDenied));

        Assert.That(await daemon.TextAsync("mgmt.policy.Replace+40-work dom0 dom0", "new\n" + Grant), Is.Empty);
        await daemon.TextAsync("mgmt.vm.CurrentState work vault");
        Assert.That(await daemon.TextAsync("mgmt.policy.List dom0 dom0"), Is.EqualTo("30-test\n40-work\n"));
        Assert.That(await daemon.TextAsync("mgmt.policy.List+40-work dom0 dom0"), Is.EqualTo("40-work\n"));
        var got = await daemon.TextAsync("mgmt.policy.Get+40-work dom0 dom0");
        Assert.That(got, Does.Match("^sha256:[0-9a-f]{64}\n").And.EndsWith("\n" + Grant));

        var token = got.Split('\n')[0];
        await daemon.TextAsync("mgmt.policy.Replace+40-work dom0 dom0", token + "\n# nothing\n");
        Assert.That(await daemon.RefusalAsync("mgmt.vm.CurrentState work vault"), Is.EqualTo(ErrorCode.PermissionDenied));
        Assert.That(await daemon.RefusalAsync("mgmt.policy.Remove+40-work dom0 dom0", token), Is.EqualTo(ErrorCode.QubesException), "the token is an old one");
        await daemon.TextAsync("mgmt.policy.Remove+40-work dom0 dom0", "any");
        Assert.That(await daemon.TextAsync("mgmt.policy.List dom0 dom0"), Is.EqualTo("30-test\n"));
        Assert.That(Directory.GetFiles(daemon.PolicyPath).Select(Path.GetFileName), Is.EqualTo(new[] { "30-test.policy" }));
    }

    [Test]
    public async Task An_include_file_is_edited_like_a_rule_file()
    {
        await using var daemon = await Daemon.OpenAsync();
        Assert.That(await daemon.TextAsync("mgmt.policy.include.List dom0 dom0"), Is.Empty);

        await daemon.TextAsync("mgmt.policy.include.Replace+Role_1 dom0 dom0", "new\nwork vault allow\n");
        await daemon.TextAsync("mgmt.policy.Replace+30-test dom0 dom0", "any\n!include-service mgmt.vm.CurrentState * include/Role_1\n");
        await daemon.TextAsync("mgmt.vm.CurrentState work vault");
        await daemon.TextAsync("mgmt.policy.include.Replace+Role_1 dom0 dom0", "any\n# nobody\n");
        Assert.That(await daemon.RefusalAsync("mgmt.vm.CurrentState work vault"), Is.EqualTo(ErrorCode.PermissionDenied));
        Assert.That(await daemon.TextAsync("mgmt.policy.include.Get+Role_1 dom0 dom0"), Does.EndWith("\n# nobody\n"));
        Assert.That(await daemon.TextAsync("mgmt.policy.include.List dom0 dom0"), Is.EqualTo("Role_1\n"));

        var refused = (await daemon.CallAsync("mgmt.policy.include.Remove+Role_1 dom0 dom0", "any")).Error!;
        Assert.That(refused.Message, Does.Contain("30-test.policy:1: "), "it is still included");
        Assert.That(File.Exists(Path.Combine(daemon.PolicyPath, "include", "Role_1")));
    }

    [TestCase("40-x", "new\n", null)]
    [TestCase("30-test", "any\n", null)]
    [TestCase("40-x", "any\n", null)]
    [TestCase("30-test", "force:any\n", null)]
    [TestCase("30-test", "new\n", ErrorCode.QubesException)]
    [TestCase("30-test", "sha256:0000000000000000000000000000000000000000000000000000000000000000\n", ErrorCode.QubesException)]
    [TestCase("40-x", "sha256:0000000000000000000000000000000000000000000000000000000000000000\n", ErrorCode.QubesException)]
    [TestCase("30-test", "sha256:00\n", ErrorCode.QubesValueError)]
    [TestCase("30-test", "sha256:A000000000000000000000000000000000000000000000000000000000000000\n", ErrorCode.QubesValueError)]
    [TestCase("30-test", "Any\n", ErrorCode.QubesValueError)]
    [TestCase("30-test", "any \n", ErrorCode.QubesValueError)]
    [TestCase("30-test", "\n", ErrorCode.QubesValueError)]
    [TestCase("30-test", "any", ErrorCode.QubesValueError)]
    [TestCase("30-test", "", ErrorCode.ProtocolError)]
    // What the loader would refuse, or would take for something else, cannot be made.
    [TestCase("Foo", "any\n", ErrorCode.QubesValueError)]
    [TestCase("30.x", "any\n", ErrorCode.QubesValueError)]
    [TestCase(".x", "any\n", ErrorCode.QubesValueError)]
    [TestCase("..", "any\n", ErrorCode.QubesValueError)]
    [TestCase("include+x", "any\n", ErrorCode.QubesValueError)]
    [TestCase("a/b", "any\n", ErrorCode.QubesValueError)]
    public async Task A_token_and_a_name_are_checked_before_anything_is_written(string name, string payload, ErrorCode? code)
    {
        await using var daemon = await Daemon.OpenAsync();

        var error = (await daemon.CallAsync($"mgmt.policy.Replace+{name} dom0 dom0", payload.Length == 0 ? "" : payload + (payload.EndsWith('\n') ? "# new\n" : ""))).Error;

        Assert.That(error?.Code, Is.EqualTo(code));
        if (code is not null)
        {
            Assert.That(Directory.GetFileSystemEntries(daemon.PolicyPath).Select(Path.GetFileName), Is.EqualTo(new[] { "30-test.policy" }));
            Assert.That(await File.ReadAllTextAsync(Path.Combine(daemon.PolicyPath, "30-test.policy")), Is.Empty);
        }
    }

    [TestCase("mgmt.policy.Get+40-x dom0 dom0", "")]
    [TestCase("mgmt.policy.Remove+40-x dom0 dom0", "any")]
    [TestCase("mgmt.policy.Remove+40-x dom0 dom0", "new")]
    [TestCase("mgmt.policy.List+40-x dom0 dom0", "")]
    [TestCase("mgmt.policy.include.Get+x dom0 dom0", "")]
    [TestCase("mgmt.policy.Revert+30-test dom0 dom0", "20260101T000000000Z")]
    [TestCase("mgmt.policy.Revert+30-test dom0 dom0", "../../30-test.policy")]
    public async Task What_is_not_there_is_refused_by_name(string header, string payload)
    {
        await using var daemon = await Daemon.OpenAsync();

        Assert.That(await daemon.RefusalAsync(header, payload), Is.EqualTo(ErrorCode.QubesException));
    }

    [Test]
    public async Task The_files_of_a_service_come_in_the_order_of_their_rules()
    {
        await using var daemon = await Daemon.OpenAsync(policy: "admin.vm.Start * work vault allow\n* * work sys-net deny\nmgmt.vm.Start +x work vault allow\n");
        await daemon.TextAsync("mgmt.policy.include.Replace+role dom0 dom0", "new\nwork vault allow\n");
        await daemon.TextAsync("mgmt.policy.Replace+20-roles dom0 dom0", "new\n!include-service mgmt.vm.Start * include/role\nmgmt.vm.Kill * work vault allow\n");

        Assert.That(await daemon.TextAsync("mgmt.policy.GetFiles+mgmt.vm.Start dom0 dom0"), Is.EqualTo("include/role\n30-test\n"));
        Assert.That(await daemon.TextAsync("mgmt.policy.GetFiles+mgmt.vm.Kill dom0 dom0"), Is.EqualTo("20-roles\n30-test\n"));
        Assert.That(await daemon.RefusalAsync("mgmt.policy.GetFiles+a+b dom0 dom0"), Is.EqualTo(ErrorCode.QubesValueError));
    }

    [TestCase("service=mgmt.vm.Start\nargument=+\nsource=work\ntarget=vault\n", "decision=allow\nrule=30-test.policy:1\nreason=allowed by 30-test.policy:1\n")]
    [TestCase("service=admin.vm.Start\nsource=work\ntarget=vault", "decision=allow\nrule=30-test.policy:1\nreason=allowed by 30-test.policy:1\n")]
    [TestCase("service=mgmt.vm.Start\nsource=work\ntarget=nosuch\n", "decision=deny\nrule=-\nreason=no matching rule found\n")]
    [TestCase("service=mgmt.vm.Start\nsource=@adminvm\ntarget=vault\n", "decision=allow\nrule=builtin:1\nreason=allowed by builtin:1\n")]
    [TestCase("service=mgmt.vm.property.Set\nargument=+netvm\nvalue=sys-net\nsource=work\ntarget=vault\n", "decision=allow\nrule=30-test.policy:2\nreason=allowed by 30-test.policy:2\n")]
    [TestCase("service=mgmt.vm.property.Set\nargument=+netvm\nsource=work\ntarget=vault\n", "decision=deny\nrule=-\nreason=no matching rule found\n")]
    public async Task A_question_is_answered_with_the_rule_that_decides(string question, string answer)
    {
        await using var daemon = await Daemon.OpenAsync(policy: "mgmt.vm.Start * work vault allow\nmgmt.vm.property.Set +netvm+sys-net work vault allow\n");

        Assert.That(await daemon.TextAsync("mgmt.policy.Eval dom0 dom0", question), Is.EqualTo(answer));
    }

    [TestCase("service=mgmt.vm.Start\n", ErrorCode.QubesValueError)]
    [TestCase("service=qubes/Filecopy\nsource=work\n", ErrorCode.QubesValueError)]
    [TestCase("service=mgmt.a\nsource=work\ntarget=a b\n", ErrorCode.QubesValueError)]
    [TestCase("service=mgmt.a\nsource=\n", ErrorCode.QubesValueError)]
    [TestCase("service=mgmt.a\nsource=work\nargument=x\n", ErrorCode.QubesValueError)]
    [TestCase("service=mgmt.a\nsource=work\nsource=vault\n", ErrorCode.QubesValueError)]
    [TestCase("service=mgmt.a\nsource=work\nuser=x\n", ErrorCode.QubesValueError)]
    [TestCase("x", ErrorCode.QubesValueError)]
    [TestCase("service=mgmt.a\nsource=work\ntarget=@dispvm\n", ErrorCode.ProtocolError)]
    public async Task What_is_no_question_is_refused(string question, ErrorCode code)
    {
        await using var daemon = await Daemon.OpenAsync();

        Assert.That(await daemon.RefusalAsync("mgmt.policy.Eval dom0 dom0", question), Is.EqualTo(code));
        Assert.That(await daemon.RefusalAsync("mgmt.policy.Explain dom0 dom0", question), Is.EqualTo(code));
    }

    [TestCase("work", "decision=ask\nrule=30-test.policy:1\nreason=asked for by 30-test.policy:1, one of vault\n")]
    [TestCase("vault", "decision=allow\nrule=30-test.policy:2\nreason=allowed by 30-test.policy:2, goes to dom0\n")]
    public async Task Another_service_is_answered_in_the_pure_language(string source, string answer)
    {
        await using var daemon = await Daemon.OpenAsync(policy: "s * work vault ask\ns * vault @default allow target=dom0\n");

        Assert.That(await daemon.TextAsync("mgmt.policy.Eval dom0 dom0", $"service=s\nsource={source}\ntarget={(source == "work" ? "vault" : "")}\n"), Is.EqualTo(answer));
    }

    [Test]
    public async Task An_explanation_has_the_line_what_nearly_matched_and_what_a_tag_would_do()
    {
        await using var daemon = await Daemon.OpenAsync(policy: "mgmt.vm.Start * work @tag:secret deny\nmgmt.vm.Start +x work vault deny\nmgmt.vm.Start * work vault allow\n");

        Assert.That(await daemon.TextAsync("mgmt.policy.Explain dom0 dom0", "service=mgmt.vm.Start\nsource=work\ntarget=vault\n"), Is.EqualTo(
            "decision=allow\nrule=30-test.policy:3\nreason=allowed by 30-test.policy:3\ntext=mgmt.vm.Start * work vault allow\n"
            + "near=30-test.policy:1\ttarget: vault is not @tag:secret\tmgmt.vm.Start * work @tag:secret deny\n"
            + "near=30-test.policy:2\targument: the rule has +x, the call +\tmgmt.vm.Start +x work vault deny\n"
            + "tag=add\tsecret\tvault\tdeny\t30-test.policy:1\tdenied by policy 30-test.policy:1\n"));
    }

    [Test]
    public async Task The_text_of_files_outside_of_the_policy_directories_is_given_by_no_call()
    {
        await using var daemon = await Daemon.OpenAsync();
        var elsewhere = Path.Join(Path.GetDirectoryName(daemon.PolicyPath), "elsewhere");
        await File.WriteAllTextAsync(elsewhere, "# a secret\nmgmt.vm.CurrentState * work vault allow\n");
        File.CreateSymbolicLink(Path.Join(daemon.PolicyPath, "40-link.policy"), elsewhere);
        // A change of another file makes the daemon look now.
        await File.WriteAllTextAsync(Path.Join(daemon.PolicyPath, "30-test.policy"), "# seen\n");
        await daemon.Policy.ReloadAsync(CancellationToken.None);

        var explained = await daemon.TextAsync("mgmt.policy.Explain dom0 dom0", "service=mgmt.vm.CurrentState\nsource=work\ntarget=vault\n");
        Assert.That(explained, Is.EqualTo("decision=allow\nrule=40-link.policy:2\nreason=allowed by 40-link.policy:2\n"));
        Assert.That(await daemon.TextAsync("mgmt.policy.Export dom0 dom0"), Does.Contain("# seen").And.Contain("\"outside\":true").And.Not.Contain("secret"));
    }

    [Test]
    public async Task Export_is_the_rules_in_force_and_the_mistakes_of_newer_files()
    {
        await using var daemon = await Daemon.OpenAsync(policy: "mgmt.vm.CurrentState * work vault allow\n");
        await File.WriteAllTextAsync(Path.Join(daemon.PolicyPath, "30-test.policy"), "oops\n");
        await daemon.Policy.ReloadAsync(CancellationToken.None);

        var document = PolicyDocument.Read(System.Text.Encoding.UTF8.GetBytes(await daemon.TextAsync("mgmt.policy.Export dom0 dom0")));
        Assert.That(document.Mistakes.Select(mistake => (mistake.File, mistake.Line)), Is.EqualTo(new[] { ("30-test.policy", 1) }));
        Assert.That(document.Directories[^1], Is.EqualTo(daemon.PolicyPath));
        Assert.That(PolicySet.Load(document.Source, new PolicyOptions()).Set!.Files, Is.EqualTo(new[] { "30-test.policy" }));
    }

    [TestCase("mgmt.policy.Explain", "service=mgmt.vm.Start\nsource=work\n")]
    [TestCase("mgmt.policy.Eval", "service=mgmt.vm.Start\nsource=work\n")]
    [TestCase("mgmt.policy.Export", "")]
    public async Task Who_is_not_allowed_to_ask_about_the_policy_is_denied(string call, string payload)
    {
        await using var daemon = await Daemon.OpenAsync();
        Assert.That(await daemon.RefusalAsync(call + " work dom0", payload), Is.EqualTo(ErrorCode.PermissionDenied));
    }

    [Test]
    public void A_policy_file_may_have_a_mebibyte()
    {
        var rows = CallGroups.ForReading().Rows.Where(row => row.Payload.CapBytes > PayloadRule.DefaultCapBytes && row.Name.StartsWith("policy.", StringComparison.Ordinal));

        Assert.That(rows.Select(row => (row.Name, row.Payload.CapBytes)), Is.EquivalentTo(new[] { ("policy.Replace", 1048576), ("policy.include.Replace", 1048576) }));
    }
}
