using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Api.Tests.PolicyFiles;

/// <summary>What a change of the policy must not do, whatever it says.</summary>
public sealed class PolicySafetyTests
{
    private const string Editor = "mgmt.policy.Replace * work dom0 allow\nmgmt.policy.Remove * work dom0 allow\nmgmt.policy.Revert * work dom0 allow\n";

    [TestCase("# one\nmgmt.vm.Start * work\n", "30-test.policy:2: ")]
    // The loader ends lines at a lone CR as well; a check that does not would let this in.
    [TestCase("# c\rjunk\n", "30-test.policy:2: ")]
    [TestCase("# c\0\n", "30-test.policy:1: ")]
    [TestCase("\uFEFF# c\n", "30-test.policy:1: ")]
    [TestCase("!include 30-test.policy\n", "30-test.policy:1: ")]
    [TestCase("!include include/nosuch\n", "30-test.policy:1: ")]
    [TestCase("!include /etc/passwd\n", "30-test.policy:1: ")]
    [TestCase("!include ../../../../../../../etc/passwd\n", "30-test.policy:1: ")]
    public async Task A_change_that_would_break_the_policy_is_refused_with_file_and_line(string text, string where)
    {
        await using var daemon = await Daemon.OpenAsync(policy: "# whole\n");

        var error = (await daemon.CallAsync("mgmt.policy.Replace+30-test dom0 dom0", "force:any\n" + text)).Error!;

        Assert.That(error.Code, Is.EqualTo(ErrorCode.QubesException));
        Assert.That(error.Message, Does.Contain(where).And.Not.Contain("root:"));
        Assert.That(error.Template, Does.Not.Contain(where), "what callers wrote is a field");
        Assert.That(await daemon.TextAsync("mgmt.policy.Get+30-test dom0 dom0"), Does.EndWith("\n# whole\n"));
        Assert.That(daemon.Policy.Current.Stale, Is.False);
        Assert.That(await daemon.TextAsync("mgmt.policy.History+30-test dom0 dom0"), Is.Empty);
    }

    [Test]
    public async Task A_rule_after_a_lone_carriage_return_is_seen_by_the_check_and_by_the_loader_P3()
    {
        await using var daemon = await Daemon.OpenAsync(policy: Editor);

        var refused = await daemon.RefusalAsync("mgmt.policy.Replace+10-x work dom0", "new\n# c\rmgmt.policy.Replace * work dom0 deny\n");

        Assert.That(refused, Is.EqualTo(ErrorCode.QubesException), "the hidden rule would lock its author out");
    }

    [Test]
    public async Task A_change_may_not_take_its_authors_own_access_unless_forced_P6()
    {
        await using var daemon = await Daemon.OpenAsync(policy: Editor);

        var error = (await daemon.CallAsync("mgmt.policy.Replace+30-test work dom0", "any\n# nothing\n")).Error!;
        Assert.That(error.Message, Does.Contain("mgmt.policy.Replace+30-test").And.Contain("force:"));
        Assert.That(await daemon.RefusalAsync("mgmt.policy.Remove+30-test work dom0", "any"), Is.EqualTo(ErrorCode.QubesException));
        Assert.That(await daemon.RefusalAsync("mgmt.policy.Replace+10-x work dom0", "new\n* * @anyvm @adminvm deny\n"), Is.EqualTo(ErrorCode.QubesException));
        Assert.That(await daemon.RefusalAsync("mgmt.policy.Replace+10-x dom0 dom0", "new\n* * dom0 * deny\n"), Is.EqualTo(ErrorCode.QubesException));

        // Others' access is what the policy is for.
        await daemon.TextAsync("mgmt.policy.Replace+30-test dom0 dom0", "any\n" + Editor + "mgmt.policy.Replace * vault dom0 allow\n");
        await daemon.TextAsync("mgmt.policy.Replace+30-test work dom0", "any\n" + Editor);
        await daemon.TextAsync("mgmt.policy.Replace+30-test work dom0", "force:any\n# nothing\n");
        Assert.That(await daemon.RefusalAsync("mgmt.policy.Replace+30-test work dom0", "any\n# more\n"), Is.EqualTo(ErrorCode.PermissionDenied));
    }

    [Test]
    public async Task What_a_crash_left_is_ignored_and_goes_with_the_next_change_P2()
    {
        await using var daemon = await Daemon.OpenAsync();
        Directory.CreateDirectory(Path.Combine(daemon.PolicyPath, "include"));
        var left = Path.Combine(daemon.PolicyPath, ".30-test.policy.new");
        await File.WriteAllTextAsync(left, "half a ru");
        await File.WriteAllTextAsync(Path.Combine(daemon.PolicyPath, "include", ".role.new"), "half");
        await daemon.Policy.ReloadAsync(CancellationToken.None);

        Assert.That(daemon.Policy.Current.Stale, Is.False);
        Assert.That(await daemon.TextAsync("mgmt.policy.List dom0 dom0"), Is.EqualTo("30-test\n"));
        Assert.That(await daemon.TextAsync("mgmt.policy.include.List dom0 dom0"), Is.Empty);
        await daemon.TextAsync("mgmt.policy.Replace+30-test dom0 dom0", "any\n# new\n");
        Assert.That(File.Exists(left), Is.False);
    }

    [TestCase("work vault allow\n", null)]
    [TestCase("mgmt.vm.Start * work vault allow\n", null)]
    [TestCase("# only a comment\n", null)]
    [TestCase("work vault perhaps\n", "include/role:1: ")]
    [TestCase("# c\rwork\n", "include/role:2: ")]
    [TestCase("!include include/role\n", "include/role:1: ")]
    public async Task An_include_that_nothing_includes_has_to_be_right_too_P4(string text, string? where)
    {
        await using var daemon = await Daemon.OpenAsync();

        var error = (await daemon.CallAsync("mgmt.policy.include.Replace+role dom0 dom0", "new\n" + text)).Error;

        Assert.That(error?.Message, where is null ? Is.Null : Does.Contain(where));
        Assert.That(await daemon.TextAsync("mgmt.policy.List dom0 dom0"), Is.EqualTo("30-test\n"), "the check leaves nothing behind");
    }

    [Test]
    public async Task Broken_files_are_mended_one_after_the_other_and_nothing_else_is_changed_meanwhile_P5()
    {
        await using var daemon = await Daemon.OpenAsync();
        await File.WriteAllTextAsync(Path.Combine(daemon.PolicyPath, "50-a.policy"), "junk\n");
        await File.WriteAllTextAsync(Path.Combine(daemon.PolicyPath, "50-b.policy"), "junk\n");
        await File.WriteAllTextAsync(Path.Combine(daemon.PolicyPath, "Bad.policy"), "# a name the loader refuses\n");

        var error = (await daemon.CallAsync("mgmt.policy.Replace+40-x dom0 dom0", "new\n# fine\n")).Error!;
        Assert.That(error.Message, Does.Contain("50-a.policy:1: ").And.Contain("50-b.policy:1: ").And.Contain("Bad.policy:1: "));
        Assert.That(await daemon.RefusalAsync("mgmt.policy.Replace+50-a dom0 dom0", "any\nother junk\n"), Is.EqualTo(ErrorCode.QubesException));
        Assert.That(await daemon.TextAsync("mgmt.policy.Replace+50-a dom0 dom0", "any\n# mended\n"), Does.StartWith("warning=").And.Contain("50-b.policy:1: "));
        File.Delete(Path.Combine(daemon.PolicyPath, "Bad.policy"));
        Assert.That(await daemon.TextAsync("mgmt.policy.Remove+50-b dom0 dom0", "any"), Is.Empty);
        Assert.That(daemon.Policy.Current.Stale, Is.False);
    }

    [Test]
    public async Task A_runtime_file_hides_one_and_the_caller_is_told()
    {
        await using var daemon = await Daemon.OpenAsync();
        Directory.CreateDirectory(daemon.RuntimePolicyPath);
        await File.WriteAllTextAsync(Path.Combine(daemon.RuntimePolicyPath, "30-test.policy"), "# runtime\n");
        await File.WriteAllTextAsync(Path.Combine(daemon.RuntimePolicyPath, "20-only.policy"), "# runtime\n");

        Assert.That(await daemon.TextAsync("mgmt.policy.Replace+30-test dom0 dom0", "any\n# changed\n"), Does.StartWith("warning=without effect").And.Contain(daemon.RuntimePolicyPath));
        Assert.That(await daemon.RefusalAsync("mgmt.policy.Replace+30-test dom0 dom0", "any\njunk\n"), Is.EqualTo(ErrorCode.QubesException), "it would break the policy once it is seen");
        var error = (await daemon.CallAsync("mgmt.policy.Get+20-only dom0 dom0")).Error!;
        Assert.That(error.Message, Does.Contain(daemon.RuntimePolicyPath));
        Assert.That(await daemon.TextAsync("mgmt.policy.List dom0 dom0"), Is.EqualTo("30-test\n"));
    }

    [Test]
    public async Task A_link_out_of_the_directory_is_neither_read_nor_replaced()
    {
        await using var daemon = await Daemon.OpenAsync();
        File.CreateSymbolicLink(Path.Combine(daemon.PolicyPath, "40-link.policy"), "/etc/hostname");

        Assert.That(await daemon.RefusalAsync("mgmt.policy.Get+40-link dom0 dom0"), Is.EqualTo(ErrorCode.QubesException));
        Assert.That(await daemon.RefusalAsync("mgmt.policy.Replace+40-link dom0 dom0", "any\n# x\n"), Is.EqualTo(ErrorCode.QubesException));
        Assert.That(await daemon.RefusalAsync("mgmt.policy.Remove+40-link dom0 dom0", "any"), Is.EqualTo(ErrorCode.QubesException));
    }

    [Test]
    public async Task A_replaced_file_keeps_its_mode_and_a_new_one_is_readable()
    {
        await using var daemon = await Daemon.OpenAsync();
        const UnixFileMode Narrow = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead;
        var path = Path.Combine(daemon.PolicyPath, "30-test.policy");
        File.SetUnixFileMode(path, Narrow | UnixFileMode.GroupWrite);

        await daemon.TextAsync("mgmt.policy.Replace+30-test dom0 dom0", "any\n# new\n");
        await daemon.TextAsync("mgmt.policy.Replace+40-x dom0 dom0", "any\n# new\n");

        Assert.That(File.GetUnixFileMode(path), Is.EqualTo(Narrow));
        Assert.That(File.GetUnixFileMode(Path.Combine(daemon.PolicyPath, "40-x.policy")), Is.EqualTo(Narrow | UnixFileMode.OtherRead));
    }

    [Test]
    public async Task A_replaced_file_keeps_its_owner()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            Requirement.Missing("only root can give files away");
        }
        await using var daemon = await Daemon.OpenAsync();
        var path = Path.Combine(daemon.PolicyPath, "30-test.policy");
        await RunAsync("chown", "1:2", path);

        await daemon.TextAsync("mgmt.policy.Replace+30-test dom0 dom0", "any\n# new\n");

        Assert.That(await RunAsync("stat", "-c", "%u:%g", path), Is.EqualTo("1:2\n"));
    }

    [Test]
    public async Task Of_those_who_change_the_same_version_one_wins_and_the_others_are_told()
    {
        await using var daemon = await Daemon.OpenAsync();
        var token = (await daemon.TextAsync("mgmt.policy.Get+30-test dom0 dom0")).Split('\n')[0];

        var results = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Task.Run(() => daemon.CallAsync("mgmt.policy.Replace+30-test dom0 dom0", $"{token}\n# {i}\n"))));

        Assert.That(results.Count(result => result.Error is null), Is.EqualTo(1));
        Assert.That(results.Select(result => result.Error?.Message).OfType<string>(), Has.All.StartsWith("Token mismatch"));
    }

    [Test]
    public async Task A_circle_of_links_and_a_pipe_are_no_files()
    {
        await using var daemon = await Daemon.OpenAsync();
        File.CreateSymbolicLink(Path.Combine(daemon.PolicyPath, "40-a.policy"), "40-a.policy");
        await RunAsync("mkfifo", Path.Combine(daemon.PolicyPath, "40-b.policy"));

        Assert.That(await daemon.TextAsync("mgmt.policy.List dom0 dom0"), Is.EqualTo("30-test\n"));
        Assert.That(await daemon.RefusalAsync("mgmt.policy.Get+40-b dom0 dom0"), Is.EqualTo(ErrorCode.QubesException));
        Assert.That(await daemon.RefusalAsync("mgmt.policy.Get+40-a dom0 dom0"), Is.EqualTo(ErrorCode.QubesException));
    }

    private static async Task<string> RunAsync(string program, params string[] words)
    {
        using var process = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo(program, words) { RedirectStandardOutput = true })!;
        var text = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.That(process.ExitCode, Is.Zero, program);
        return text;
    }
}
