using System.Globalization;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>Calls of today's API that take more than a reply: statistics, notes at their limit, properties as a policy lets them.</summary>
public sealed class TodaysCallTests : DaemonFixture
{
    private const int MaxNotes = 256_000;
    private static readonly string[] StatsKeys = ["memory_kb", "memory_assigned_total", "memory_assigned_usable", "memory_with_swap_used", "cpu_time", "cpu_usage", "online_vcpus"];

    protected override DaemonOptions Options => new()
    {
        Policy = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["20-test.policy"] = """
                mgmt.vm.property.GetAll * vault work allow
                mgmt.vm.property.Get +memory vault work allow
                mgmt.vm.Stats * vault @adminvm allow
                mgmt.vm.Stats * vault @tag:seen allow

                """,
        },
    };

    [Test]
    public async Task Statistics_come_of_each_vm_that_runs_and_that_the_policy_lets_the_caller_see()
    {
        await MakeVmAsync("seen");
        await MakeVmAsync("hidden");
        await Daemon.OkAsync("mgmt.vm.tag.Set", "seen", "seen");
        await Daemon.OkAsync("mgmt.property.Set", "dom0", "stats_interval", "1");
        await Daemon.OkAsync("mgmt.vm.Start", "seen");
        await Daemon.OkAsync("mgmt.vm.Start", "hidden");
        await using var stream = await Daemon.EventsAsync(source: "vault", method: "admin.vm.Stats");
        var two = new[] { (await stream.ReadAsync())!, (await stream.ReadAsync())! };
        Assert.That(two.Select(e => (e.Subject, e.Name)), Is.All.EqualTo(("seen", "vm-stats")));
        Assert.That(two[0].Pairs.Select(pair => pair.Key), Is.EqualTo(StatsKeys));
        Assert.That(two[0].Pairs.Select(pair => long.Parse(pair.Value, CultureInfo.InvariantCulture)), Is.All.Not.Negative);
        Assert.That(two[0]["memory_assigned_total"], Is.EqualTo((400 * 1024).ToString(CultureInfo.InvariantCulture)));
        await using var one = await Daemon.EventsAsync(destination: "hidden", method: "mgmt.vm.Stats");
        Assert.That((await one.ReadAsync())!.Subject, Is.EqualTo("hidden"));
        await Daemon.OkAsync("mgmt.vm.Kill", "seen");
        await Daemon.OkAsync("mgmt.vm.Kill", "hidden");
    }

    [Test]
    public async Task Notes_take_their_limit_and_not_a_byte_more_and_survive_a_restart()
    {
        await MakeVmAsync("noted");
        var most = new string('n', MaxNotes);
        await Daemon.OkAsync("admin.vm.notes.Set", "noted", payload: most);
        await Daemon.RefusedAsync(ErrorCode.QubesValueError, "admin.vm.notes.Set", "noted", payload: most + "n");
        await Daemon.RefusedAsync(ErrorCode.QubesValueError, "admin.vm.notes.Set", "noted", payload: "\u00ff");
        await Daemon.RestartAsync();
        Assert.That(await Daemon.OkAsync("admin.vm.notes.Get", "noted"), Is.EqualTo(most));
        Assert.That(await Daemon.ExportAsync(), Does.Contain("\"notes\": \"nnn"));
    }

    [Test]
    public async Task Properties_that_a_policy_withholds_are_left_out_and_counted()
    {
        var all = await Daemon.OkAsync("admin.vm.property.GetAll", "work");
        Assert.That(await Daemon.OkAsync("admin.vm.property.GetAll", "work", source: "vault"), Is.EqualTo("memory default=True type=int 400\n"));
        var lines = Daemon.Audit("admin.vm.property.GetAll");
        Assert.That(lines[^1].GetProperty("withheld").GetInt32(), Is.EqualTo(all.Count(c => c == '\n') - 1));
        Assert.That(lines[^2].TryGetProperty("withheld", out _), Is.False);
    }
}
