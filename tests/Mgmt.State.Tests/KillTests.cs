using System.Diagnostics;
using System.Globalization;

namespace Mgmt.State.Tests;

public sealed class KillTests
{
    private TestStore _files = null!;

    [SetUp]
    public void SetUp() => _files = new TestStore();

    [TearDown]
    public void TearDown() => _files.Dispose();

    [TestCase(1)]
    [TestCase(137)]
    [TestCase(500)]
    [TestCase(901)]
    public async Task After_kill_minus_9_what_was_acknowledged_is_there_and_the_rest_is_whole_or_absent(int killAfter)
    {
        var acknowledged = await RunVictimAsync(killAfter);
        Assert.That(acknowledged, Has.Count.InRange(killAfter, Victim.Changes - 1), "the victim was to be killed on its way");

        await using var store = await _files.OpenAsync();
        var changed = store.Current.Properties.Values.Select(Number).ToHashSet();
        var journal = store.Journal.Read(0, 10 * Victim.Changes);
        Assert.Multiple(() =>
        {
            Assert.That(acknowledged.Except(changed), Is.Empty, "acknowledged and lost");
            Assert.That(journal.Select(entry => Number(entry.Event["n"]!)), Is.EquivalentTo(changed), "records and events differ");
            Assert.That(journal.Select(entry => entry.Sequence), Is.EqualTo(Enumerable.Range(1, journal.Count).Select(n => (ulong)n)));
        });
        await store.ApplyAsync(t => t.Emit(TestStore.Event(0)), CancellationToken.None);
        Assert.That(store.Journal.Newest.Sequence, Is.EqualTo((ulong)journal.Count + 1));
    }

    [Test]
    public async Task A_victim_that_is_killed_again_and_again_leaves_a_store_that_opens()
    {
        for (var round = 1; round <= 5; round++)
        {
            var acknowledged = await RunVictimAsync(round * 3);
            await using var store = await _files.OpenAsync();
            Assert.That(acknowledged.Select(n => store.Current.Properties["p" + n]), Is.EqualTo(acknowledged.Select(n => n.ToString(CultureInfo.InvariantCulture))));
        }
    }

    private async Task<List<int>> RunVictimAsync(int killAfter)
    {
        using var timeout = new CancellationTokenSource(TestStore.Deadline);
        using var victim = Process.Start(new ProcessStartInfo(Environment.ProcessPath!) { ArgumentList = { "--victim", _files.Directory }, RedirectStandardOutput = true })!;
        var acknowledged = new List<int>();
        // Lines that reached the pipe before the kill count too; a last one without its end does not.
        while (await victim.StandardOutput.ReadLineAsync(timeout.Token) is { } line)
        {
            acknowledged.Add(Number(line));
            if (acknowledged.Count == killAfter)
            {
                victim.Kill();
            }
        }
        await victim.WaitForExitAsync(timeout.Token);
        Assert.That(victim.ExitCode, Is.EqualTo(128 + 9));
        return acknowledged;
    }

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
}
