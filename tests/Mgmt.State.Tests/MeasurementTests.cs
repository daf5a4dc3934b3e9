using System.Diagnostics;
using System.Globalization;
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
            using var timeout = new CancellationTokenSource(TestStore.Deadline);
            using var process = Process.Start(new ProcessStartInfo(Environment.ProcessPath!) { ArgumentList = { "--load", _files.Directory }, RedirectStandardOutput = true })!;
            var figures = (await process.StandardOutput.ReadToEndAsync(timeout.Token)).Split(' ').Select(figure => long.Parse(figure, CultureInfo.InvariantCulture)).ToList();
            await TestContext.Out.WriteLineAsync($"a fresh process opened {figures[0]} VMs in {figures[1]} ms and holds {figures[2] / 1e6:F1} MB for them");
            Assert.That(figures[0], Is.EqualTo(1_002));
            Assert.That(figures[1], Is.LessThan(2_000));
            Assert.That(figures[2], Is.LessThan(20_000_000));
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
