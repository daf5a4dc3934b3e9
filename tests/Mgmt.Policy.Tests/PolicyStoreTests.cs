using Microsoft.Extensions.Logging.Abstractions;

namespace Mgmt.Policy.Tests;

[TestFixture]
public sealed class PolicyStoreTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);

    private TemporaryDirectory _directory = null!;

    [SetUp]
    public void MakeDirectory()
    {
        _directory = new TemporaryDirectory();
        _directory.Write("etc/30-x.policy", "s * work work allow");
    }

    [TearDown]
    public void RemoveDirectory() => _directory.Dispose();

    [Test]
    public async Task A_change_on_disk_comes_into_force_by_itself()
    {
        await using var store = Open();
        Assert.That(Rule(store.Current), Is.EqualTo("30-x.policy:1"));
        _directory.Write("etc/30-x.policy", "# moved\ns * work work allow");
        Assert.That(Rule(await Next(store)), Is.EqualTo("30-x.policy:2"));
        Assert.That(Rule(store.Current), Is.EqualTo("30-x.policy:2"));
    }

    [Test]
    public async Task A_runtime_directory_made_later_is_noticed()
    {
        await using var store = Open();
        _directory.Write("run/30-x.policy", "s * work work deny");
        Assert.That(store.Current.Stale, Is.False);
        Assert.That((await Next(store)).Set.DecideCall(Call, TestDomains.Office()).Allowed, Is.False);
    }

    [Test]
    public async Task A_change_of_an_included_file_is_noticed_wherever_it_is()
    {
        _directory.Write("elsewhere/c", "");
        _directory.Write("etc/30-x.policy", $"!include {_directory["elsewhere/c"]}\n!include include/d");
        _directory.Write("etc/include/d", "");
        await using var store = Open();
        Assert.That(Rule(store.Current), Is.EqualTo("-"));
        _directory.Write("elsewhere/c", "s * work work allow");
        Assert.That(Rule(await Next(store)), Is.EqualTo(_directory["elsewhere/c"] + ":1"));
        _directory.Write("elsewhere/c", "");
        await Next(store);
        _directory.Write("etc/include/d", "s * work work allow");
        Assert.That(Rule(await Next(store)), Is.EqualTo("include/d:1"));
    }

    [Test]
    public async Task A_directory_that_is_replaced_as_a_whole_is_noticed_and_then_watched()
    {
        await using var store = Open();
        _directory.Write("new/30-x.policy", "\ns * work work allow");
        Directory.Move(_directory["etc"], _directory["old"]);
        Directory.Move(_directory["new"], _directory["etc"]);
        Assert.That(Rule(await Next(store)), Is.EqualTo("30-x.policy:2"));
        _directory.Write("etc/30-x.policy", "\n\ns * work work allow");
        Assert.That(Rule(await Next(store)), Is.EqualTo("30-x.policy:3"));
    }

    [Test]
    public async Task A_broken_set_does_not_replace_the_one_in_force_and_a_repair_does()
    {
        await using var store = Open();
        var good = store.Current;
        _directory.Write("etc/30-x.policy", "oops");
        var stale = await Next(store);
        Assert.That((stale.Stale, stale.Set, stale.Errors.Single().ToString()[..18]), Is.EqualTo((true, good.Set, "30-x.policy:1:1: t")));
        _directory.Write("etc/30-x.policy", "s * work work allow");
        var repaired = await Next(store);
        Assert.That((repaired.Stale, repaired.Set.Digest, repaired.Errors.Count), Is.EqualTo((false, good.Set.Digest, 0)));
    }

    [Test]
    public async Task The_last_good_set_stays_over_a_restart()
    {
        _directory.Write("etc/include/d", "s * work work allow");
        _directory.Write("etc/30-x.policy", "!include include/d");
        string digest;
        await using (var store = Open())
            digest = store.Current.Set.Digest;
        _directory.Write("etc/30-x.policy", "oops");
        File.Delete(_directory["etc/include/d"]);
        await using var restarted = Open();
        Assert.That((restarted.Current.Stale, restarted.Current.Set.Digest, Rule(restarted.Current)), Is.EqualTo((true, digest, "include/d:1")));
        Assert.That(restarted.Current.Errors, Is.Not.Empty);
    }

    [Test]
    public async Task The_text_behind_a_link_is_not_shown_over_a_restart_either()
    {
        _directory.Write("elsewhere/rules", "s * work work allow");
        _directory.Write("etc/30-x.policy", "# nothing");
        File.CreateSymbolicLink(_directory["etc/40-link.policy"], _directory["elsewhere/rules"]);
        await using (var store = Open())
            Assert.That(Rule(store.Current), Is.EqualTo("40-link.policy:1"));
        File.Delete(_directory["etc/40-link.policy"]);
        _directory.Write("etc/30-x.policy", "oops");
        await using var again = Open();
        var explanation = PolicyExplanation.Of(again.Current.Set, Call, TestDomains.Office());
        Assert.That((again.Current.Stale, explanation.Outcome.Rule, explanation.Text), Is.EqualTo((true, "40-link.policy:1", "")));
    }

    [Test]
    public async Task A_set_kept_over_a_restart_is_as_old_as_its_file_says()
    {
        await using (Open())
        {
        }
        var stored = new DateTimeOffset(2020, 2, 3, 4, 5, 6, TimeSpan.Zero);
        var text = File.ReadAllText(_directory["last-good"]);
        File.WriteAllText(_directory["last-good"], System.Text.RegularExpressions.Regex.Replace(text, "(?m)^time .*$", $"time {stored:O}"));
        _directory.Write("etc/30-x.policy", "oops");
        await using var restarted = Open();
        Assert.That((restarted.Current.Stale, restarted.Current.Since, Rule(restarted.Current)), Is.EqualTo((true, stored, "30-x.policy:1")));
    }

    [Test]
    public async Task A_set_with_whole_directories_and_old_files_stays_over_a_restart()
    {
        Directory.CreateDirectory(_directory["etc/empty"]);
        Directory.CreateDirectory(_directory["elsewhere"]);
        _directory.Write("old/t+x", "work work allow");
        _directory.Write("etc/d/10-x.policy", "s * work work allow");
        _directory.Write("etc/30-x.policy", $"!include-dir empty\n!include-dir {_directory["elsewhere"]}\n!include-dir d\n!compat-4.0");
        string digest;
        await using (var store = Open())
            digest = store.Current.Set.Digest;
        _directory.Write("etc/30-x.policy", "oops");
        await using var restarted = Open();
        Assert.That((restarted.Current.Set.Digest, restarted.Current.Set.RuleCount, Rule(restarted.Current)), Is.EqualTo((digest, 5, "d/10-x.policy:1")));
    }

    [Test]
    public async Task A_file_added_to_an_included_directory_is_noticed_wherever_it_is()
    {
        Directory.CreateDirectory(_directory["elsewhere"]);
        _directory.Write("etc/30-x.policy", $"!include-dir {_directory["elsewhere"]}");
        await using var store = Open();
        _directory.Write("elsewhere/10-x.policy", "s * work work allow");
        Assert.That(Rule(await Next(store)), Is.EqualTo(_directory["elsewhere/10-x.policy"] + ":1"));
    }

    [Test]
    public async Task A_change_of_the_old_files_is_noticed()
    {
        Directory.CreateDirectory(_directory["old"]);
        _directory.Write("etc/30-x.policy", "!compat-4.0");
        await using var store = Open();
        _directory.Write("old/s", "work work allow");
        Assert.That(Rule(await Next(store)), Is.EqualTo(_directory["old/s"] + ":1"));
        Directory.Move(_directory["old"], _directory["gone"]);
        Assert.That((await Next(store)).Errors.Single().Message, Does.Contain("not a directory"));
        Directory.Move(_directory["gone"], _directory["old"]);
        Assert.That((await Next(store)).Stale, Is.False);
    }

    [Test]
    public async Task A_change_behind_a_link_is_noticed()
    {
        _directory.Write("elsewhere/10-x", "");
        File.CreateSymbolicLink(_directory["etc/20-x.policy"], _directory["elsewhere/10-x"]);
        File.Delete(_directory["etc/30-x.policy"]);
        await using var store = Open();
        _directory.Write("elsewhere/10-x", "s * work work allow");
        Assert.That(Rule(await Next(store)), Is.EqualTo("20-x.policy:1"));
    }

    [TestCase("absent")]
    [TestCase("damaged")]
    [TestCase("other bytes")]
    public async Task Without_a_last_good_set_only_the_builtin_rule_is_left(string kept)
    {
        await using (Open())
        {
        }
        if (kept == "absent")
            File.Delete(_directory["last-good"]);
        else if (kept == "damaged")
            File.WriteAllText(_directory["last-good"], "mgmt-policy 1\nfile 99999 /x\n");
        else
            File.WriteAllText(_directory["last-good"], File.ReadAllText(_directory["last-good"]).Replace("work work", "mgmt mgmt"));
        _directory.Write("etc/30-x.policy", "oops");
        await using var store = Open();
        Assert.That((store.Current.Stale, store.Current.Set.RuleCount, Rule(store.Current)), Is.EqualTo((true, 1, "-")));
        Assert.That(store.Current.Set.DecideCall(Call with { Source = "dom0" }, TestDomains.Office()).Rule, Is.EqualTo("builtin:1"));
    }

    [Test]
    public async Task With_deny_only_the_builtin_rule_is_in_force_while_the_files_are_broken()
    {
        await using var store = Open(Sets.Daemon with { DenyWhenBroken = true });
        _directory.Write("etc/30-x.policy", "oops");
        await store.ReloadAsync(CancellationToken.None);
        Assert.That((store.Current.Stale, Rule(store.Current), store.Current.Set.RuleCount), Is.EqualTo((true, "-", 1)));
        _directory.Write("etc/30-x.policy", "s * work work allow");
        await store.ReloadAsync(CancellationToken.None);
        Assert.That(Rule(store.Current), Is.EqualTo("30-x.policy:1"));
    }

    [Test]
    public async Task A_reload_of_the_same_files_changes_nothing()
    {
        await using var store = Open();
        var before = store.Current;
        await store.ReloadAsync(CancellationToken.None);
        Assert.That(store.Current, Is.SameAs(before));
    }

    [Test]
    public async Task The_last_good_file_is_for_the_daemon_alone()
    {
        await using var store = Open();
        Assert.That(File.GetUnixFileMode(_directory["last-good"]), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite));
    }

    private static PolicyRequest Call => new("s", "", "work", "work");

    private static string Rule(PolicySnapshot snapshot) => snapshot.Set.DecideCall(Call, TestDomains.Office()).Rule;

    private static async Task<PolicySnapshot> Next(PolicyStore store)
    {
        using var deadline = new CancellationTokenSource(Deadline);
        return await store.Changes.ReadAsync(deadline.Token);
    }

    private PolicyStore Open(PolicyOptions? options = null) => new(
        [new PolicyDirectory(_directory["run"], MayBeMissing: true), new PolicyDirectory(_directory["etc"])],
        (options ?? Sets.Daemon) with { LegacyDirectory = _directory["old"] },
        _directory["last-good"],
        TimeProvider.System,
        NullLogger.Instance);
}
