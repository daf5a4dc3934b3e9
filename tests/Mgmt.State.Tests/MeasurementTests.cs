using System.Diagnostics;
using Mgmt.Core;

namespace Mgmt.State.Tests;

/// <summary>Figures, and limits generous enough for a busy machine in a debug build.</summary>
public sealed class MeasurementTests
{
    private TestStore _files = null!;

    [SetUp]
    public void SetUp() => _files = new TestStore();

    [TearDown]
    public void TearDown() => _files.Dispose();

    [Test]
    public async Task A_thousand_vms_are_loaded_soon_and_take_little_memory()
    {
        await using (var store = await _files.OpenAsync(TestStore.Seed))
        {
            await store.ApplyAsync(t => { for (var n = 2; n <= 1_001; n++) { t.PutVm(TestStore.Vm($"vm-{n}", n)); } }, CancellationToken.None);
        }
        for (var round = 0; round < 3; round++)
        {
            var before = GC.GetTotalMemory(forceFullCollection: true);
            var watch = Stopwatch.StartNew();
            await using var store = await _files.OpenAsync();
            var elapsed = watch.Elapsed;
            var bytes = GC.GetTotalMemory(forceFullCollection: true) - before;
            await TestContext.Out.WriteLineAsync($"opened {store.Current.Vms.Count} VMs in {elapsed.TotalMilliseconds:F1} ms, {bytes / 1e6:F1} MB held");
            Assert.That(elapsed, Is.LessThan(TimeSpan.FromSeconds(1)));
            Assert.That(bytes, Is.LessThan(20_000_000));
        }
    }

    [TestCase(1, 2_000)]
    [TestCase(64, 20_000)]
    public async Task Changes_are_applied_at_a_useful_rate(int callers, int changes)
    {
        await using var store = await _files.OpenAsync(TestStore.Seed);
        await RunAsync(changes / 10);
        var commits = store.CommitCount;
        var watch = Stopwatch.StartNew();
        await RunAsync(changes);
        var perSecond = changes / watch.Elapsed.TotalSeconds;
        await TestContext.Out.WriteLineAsync($"{callers} callers: {perSecond:F0} changes/s, {(double)changes / (store.CommitCount - commits):F1} per commit");
        Assert.That(perSecond, Is.GreaterThan(50));

        Task RunAsync(int count) => Task.WhenAll(Enumerable.Range(0, callers).Select(caller => Task.Run(async () =>
        {
            for (var n = 0; n < count / callers; n++)
            {
                await store.ApplyAsync(
                    t =>
                    {
                        var vm = t.State.Get(TestStore.Name("work"));
                        t.PutVm(vm.WithProperty("memory", $"{caller + n}"));
                        t.Emit(MgmtEvent.Of(vm.Name, "property-set:memory", ("name", "memory"), ("newvalue", $"{n}")));
                    },
                    CancellationToken.None);
            }
        })));
    }
}
