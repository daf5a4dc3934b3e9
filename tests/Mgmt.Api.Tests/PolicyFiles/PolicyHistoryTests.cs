using Mgmt.Policy;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Api.Tests.PolicyFiles;

public sealed class PolicyHistoryTests
{
    private const string Editors = "mgmt.policy.Replace * work dom0 allow\nmgmt.policy.Remove * work dom0 allow\n";

    [Test]
    public async Task Every_replaced_or_removed_version_is_kept_with_who_did_it_and_comes_back()
    {
        await using var daemon = await Daemon.OpenAsync(policy: Editors);
        await daemon.TextAsync("mgmt.policy.Replace+40-x dom0 dom0", "new\n# one\n");
        await daemon.TextAsync("mgmt.policy.Replace+40-x work dom0", "any\n# two\n");
        await daemon.TextAsync("mgmt.policy.Replace+40-x dom0 dom0", "any\n# two\n");
        await daemon.TextAsync("mgmt.policy.Remove+40-x dom0 dom0", "any");

        var lines = (await daemon.TextAsync("mgmt.policy.History+40-x dom0 dom0")).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(lines, Has.Length.EqualTo(2).And.All.Match("^[0-9]{8}T[0-9]{9}Z [0-9-]{10}T[0-9:.]{12}Z (work|dom0) sha256:[0-9a-f]{64}$"));
        Assert.That(lines.Select(line => line.Split(' ')[2]), Is.EqualTo(new[] { "dom0", "work" }), "the newest first, and the same text again is no change");

        await daemon.TextAsync("mgmt.policy.Revert+40-x dom0 dom0", lines[1].Split(' ')[0]);
        Assert.That(await daemon.TextAsync("mgmt.policy.Get+40-x dom0 dom0"), Is.EqualTo($"{lines[1].Split(' ')[3]}\n# one\n"));
        Assert.That(await daemon.TextAsync("mgmt.policy.include.History+40-x dom0 dom0"), Is.Empty);
    }

    [Test]
    public async Task A_version_comes_back_only_if_the_policy_stays_whole_and_its_author_inside()
    {
        await using var daemon = await Daemon.OpenAsync(policy: Editors + "mgmt.policy.Revert * work dom0 allow\n");
        await daemon.TextAsync("mgmt.policy.include.Replace+role dom0 dom0", "new\nwork vault allow\n");
        await daemon.TextAsync("mgmt.policy.Replace+40-x dom0 dom0", "new\n!include-service mgmt.vm.Start * include/role\n");
        await daemon.TextAsync("mgmt.policy.Replace+40-x dom0 dom0", "any\n# without\n");
        await daemon.TextAsync("mgmt.policy.include.Remove+role dom0 dom0", "any");
        await daemon.TextAsync("mgmt.policy.Replace+10-y dom0 dom0", "any\n* * work dom0 deny\n");
        await daemon.TextAsync("mgmt.policy.Replace+10-y dom0 dom0", "any\n# without\n");

        Assert.That(await daemon.RefusalAsync("mgmt.policy.Revert+40-x dom0 dom0", await NewestAsync("40-x")), Is.EqualTo(ErrorCode.QubesException));
        Assert.That(await daemon.RefusalAsync("mgmt.policy.Revert+10-y work dom0", await NewestAsync("10-y")), Is.EqualTo(ErrorCode.QubesException));
        await daemon.TextAsync("mgmt.policy.Revert+10-y work dom0", "force:" + await NewestAsync("10-y"));

        async Task<string> NewestAsync(string file) => (await daemon.TextAsync($"mgmt.policy.History+{file} dom0 dom0")).Split(' ')[0];
    }

    [Test]
    public async Task What_cannot_be_kept_is_not_replaced()
    {
        await using var daemon = await Daemon.OpenAsync(policy: "# old\n");
        await File.WriteAllTextAsync(daemon.HistoryPath, "in the way of the directory");

        Assert.That(await daemon.RefusalAsync("mgmt.policy.Replace+30-test dom0 dom0", "any\n# new\n"), Is.EqualTo(ErrorCode.MgmtUnavailableError));
        Assert.That(await daemon.TextAsync("mgmt.policy.Get+30-test dom0 dom0"), Does.EndWith("\n# old\n"));
    }

    [Test]
    public void The_oldest_versions_go_first_and_what_is_damaged_is_no_version()
    {
        var directory = Directory.CreateTempSubdirectory("mgmt-history-").FullName;
        var clock = new ManualTime();
        var history = new PolicyHistory(directory, clock) { MaxVersions = 3, MaxTotalBytes = 1000 };
        var (a, b) = (PolicyFileName.Parse(false, "a"), PolicyFileName.Parse(true, "a"));
        for (byte i = 0; i < 5; i++)
        {
            history.Keep(a, [i], "dom0");
        }
        Assert.That(history.List(a).Select(v => history.Read(a, v.Id)[0]), Is.EqualTo(new byte[] { 4, 3, 2 }), "of one instant, too");
        history.Keep(a, [4], "work");
        Assert.That(history.List(a), Has.Count.EqualTo(3), "kept before a crash");

        clock.Advance(1000);
        history.Keep(b, new byte[700], "dom0");
        Assert.That(history.List(a).Select(v => history.Read(a, v.Id)[0]), Is.EqualTo(new byte[] { 4, 3 }), "all files share the space");
        File.WriteAllText(Path.Combine(directory, "include", "a", "20300101T000000000Z"), "no header");
        File.WriteAllText(Path.Combine(directory, "include", "a", "notes"), "x y\n");
        Assert.That(history.List(b), Has.Count.EqualTo(1));
        Directory.Delete(directory, recursive: true);
    }
}
