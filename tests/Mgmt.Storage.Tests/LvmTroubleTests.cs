using Mgmt.Core;
using Mgmt.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mgmt.Storage.Tests;

/// <summary>Thin pools that cannot be opened, and daemons that die.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class LvmTroubleTests : LvmFixture
{
    private const int MostSteps = 40;

    public enum Operation { Start, Stop, Snapshot, Revert, Import, Clone, Clear, Remove, Complete }

    [Test]
    public async Task A_daemon_that_dies_at_any_step_leaves_the_old_or_the_new_and_no_orphans([Values] Operation operation)
    {
        var steps = 0;
        for (var died = true; died; steps++)
        {
            Assert.That(steps, Is.LessThan(MostSteps));
            died = await DiesAtAsync(operation, steps);
        }
        Assert.That(steps, Is.GreaterThan(1), "it has steps");
    }

    [Test]
    public async Task What_is_not_ours_is_reported_and_stays()
    {
        Lvm.AddForeign("appvms+work+private-tmp");
        await Pool.CreateAsync(Private, Token);
        await Pool.CreateAsync(Volume("appvms/lost/private"), Token);
        await Reopen();
        var findings = await Pool.CheckAsync([Private with { SizeBytes = 3 * Size }, Volume("appvms/gone/private")], new HashSet<Vid>(), true, Token);
        Assert.That(findings.Select(finding => (finding.Kind, finding.What, finding.Mended)), Is.EquivalentTo(new[]
        {
            ("unknown", "appvms+work+private-tmp", false), ("unknown", "appvms/lost/private", false), ("size", "appvms/work/private", false), ("missing", "appvms/gone/private", false),
        }));
        Assert.That(findings.Single(finding => finding.Kind == "size").SizeBytes, Is.EqualTo(Size));
        Assert.That(Lvm.Names, Is.EqualTo(new[] { "appvms+lost+private", "appvms+work+private", "appvms+work+private-tmp" }));
    }

    [Test]
    public async Task An_unclean_run_is_reported_and_mended_unless_it_is_in_use()
    {
        await Pool.CreateAsync(Private, Token);
        using (var open = await Pool.StartAsync(Private, Token))
        {
            RandomAccess.Write(open.Layers[0].File, "c"u8, 0);
        }
        Assert.That(await Pool.CheckAsync([Private], new HashSet<Vid> { Private.Vid!.Value }, true, Token), Is.Empty);
        Assert.That((await Pool.CheckAsync([Private], new HashSet<Vid>(), false, Token)).Single(), Has.Property("Kind").EqualTo("unclean").And.Property("Mended").False);
        Assert.That((await Pool.CheckAsync([Private], new HashSet<Vid>(), true, Token)).Single().Mended, Is.True);
        Assert.That((await Holds(Private), await Pool.CheckAsync([Private], new HashSet<Vid>(), true, Token)), Is.EqualTo(('c', Array.Empty<PoolFinding>())));
    }

    [Test]
    public async Task A_check_looks_once_however_many_volumes_are_well()
    {
        VolumeRecord[] known = [.. Enumerable.Range(1, 5).Select(n => Volume($"appvms/vm-{n}/private"))];
        foreach (var volume in known)
        {
            await Pool.CreateAsync(volume, Token);
        }
        var before = Lvm.Lines.Count;
        Assert.That(await Pool.CheckAsync(known, new HashSet<Vid>(), true, Token), Is.Empty);
        Assert.That(Lvm.Lines.Skip(before).Count(), Is.EqualTo(1));
    }

    [Test]
    public async Task A_damaged_pool_is_reported([Values("twi-aotzD-", "twi-aotzM-", "twi-aotzF-", "twi-cotz--")] string attributes)
    {
        Lvm.PoolAttributes = attributes;
        var full = attributes[8] == 'D';
        Assert.That(await Pool.CheckAsync([], new HashSet<Vid>(), true, Token), Has.Length.EqualTo(full ? 0 : 1));
    }

    [Test]
    public async Task A_pool_that_cannot_be_used_says_why()
    {
        Task Opening(params (string, string)[] config) => Driver().OpenAsync(Record(config), Token);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(await MessageOf(() => Opening(("thin_pool", "pool01"))), Is.EqualTo("The volume group has no thin pool pool01"));
            Assert.That(await MessageOf(() => Opening(("volume_group", "vg1"))), Is.EqualTo("lvs failed; the daemon's log says why"));
            Assert.That(await MessageOf(() => Opening(("volume_group", "--config"))), Does.Contain("is no name of lvm2"));
            Assert.That(await MessageOf(() => Opening(("thin_pool", "a/b"))), Does.Contain("is no name of lvm2"));
            Assert.That(await MessageOf(() => Opening(("revisions_to_keep", "-2"))), Does.Contain("-1 or more"));
            Lvm.PoolAttributes = "twi-aot---";
            Assert.That(await MessageOf(() => Opening()), Does.Contain("does not zero new blocks"));
            Lvm.Before = _ => throw new MgmtException(ErrorCode.MgmtUnavailableError, "Cannot run lvs");
            Assert.That(await MessageOf(() => Opening()), Is.EqualTo("Cannot run lvs"));
            File.Delete(Path.Combine(Lvm.Devices, "mapper", "control"));
            Assert.That(await MessageOf(() => Opening()), Is.EqualTo("Pool default needs device-mapper, which this host's kernel does not have"));
        }
    }

    [Test]
    public async Task A_report_that_is_not_understood_is_an_error(
        [Values("", "{", "[]", "{\"report\":{}}", "{\"report\":[{\"lv\":[{}]}]}", "{\"report\":[{\"lv\":[{\"lv_name\":3}]}]}", "{\"report\":[{}]}")] string report)
    {
        Lvm.Before = line => line.StartsWith("lvs", StringComparison.Ordinal) ? new CommandResult(0, report, "") : null;
        Assert.That(await CodeOf(() => Pool.CreateAsync(Private, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        Assert.That(Lvm.Names, Is.Empty);
    }

    [Test]
    public async Task Two_pools_cannot_share_a_thin_pool()
    {
        var driver = Driver();
        await using var first = await driver.OpenAsync(Record(), Token);
        Assert.That(await CodeOf(() => driver.OpenAsync(Record(), Token)), Is.EqualTo(ErrorCode.StoragePoolException));
    }

    [Test]
    public async Task The_host_as_it_is_refuses_with_a_sentence()
    {
        var mapper = File.ReadAllText("/proc/misc").Contains("device-mapper", StringComparison.Ordinal);
        var driver = new LvmThinDriver(NullLogger<LvmThinDriver>.Instance, TimeProvider.System);
        var message = await MessageOf(() => driver.OpenAsync(Record(("volume_group", "mgmt-no-such-group")), Token));
        Assert.That(message, mapper ? Does.Match("^(lvs failed|Cannot run lvs)") : Is.EqualTo("Pool default needs device-mapper, which this host's kernel does not have"));
    }

    /// <summary>Does it with a daemon that dies before its n-th change; false when it lived to the end.</summary>
    private async Task<bool> DiesAtAsync(Operation operation, int step)
    {
        var volume = Volume($"appvms/vm{step}/private");
        var vid = volume.Vid!.Value;
        var content = vid.Value.Replace('/', '+');
        await PrepareAsync(operation, volume);
        var before = operation == Operation.Stop ? 'r' : 'b';
        var left = step;
        var dead = false;
        Lvm.Before = line => dead || (!line.StartsWith("lvs ", StringComparison.Ordinal) && left-- == 0 && (dead = true)) ? throw new IOException("killed") : null;
        try
        {
            await DoAsync(operation, volume);
        }
        catch (Exception failure) when (failure is MgmtException or IOException)
        {
            Assert.That(dead, Is.True, failure.ToString());
        }
        Lvm.Before = _ => null;
        await Reopen();
        var names = Lvm.Names.Where(name => name.StartsWith(content, StringComparison.Ordinal)).ToArray();
        Assert.That(names.Where(name => name.EndsWith("-tmp", StringComparison.Ordinal) || name.EndsWith("-old", StringComparison.Ordinal)), Is.Empty, $"step {step}");
        if (operation == Operation.Remove)
        {
            Assert.That(names.Length == 0 || names.Contains(content), $"step {step}: while anything is there, the volume is");
            await Pool.RemoveAsync(volume, Token);
            Assert.That(Pool.Volumes, Has.None.EqualTo(vid));
            return dead;
        }
        await Pool.StopAsync(volume, Token);
        Assert.That(await Holds(volume), Is.EqualTo(before).Or.EqualTo(After(operation)), $"step {step}");
        Assert.That(Ids(volume).Count(), Is.InRange(1, 3));
        Assert.That((await Pool.CheckAsync([volume], new HashSet<Vid>(), false, Token)).Where(finding => finding.What == vid.Value), Is.Empty);
        await Run(volume, 'z');
        Assert.That(await Holds(volume), Is.EqualTo('z'), "and it goes on working");
        return dead;
    }

    private async Task PrepareAsync(Operation operation, VolumeRecord volume)
    {
        await Pool.CreateAsync(volume, Token);
        await Run(volume, 'a');
        await Run(volume, 'b');
        if (operation is Operation.Stop or Operation.Complete)
        {
            using var open = await Pool.StartAsync(volume, Token);
            RandomAccess.Write(open.Layers[0].File, "r"u8, 0);
        }
    }

    private async Task DoAsync(Operation operation, VolumeRecord volume)
    {
        switch (operation)
        {
            case Operation.Start: (await Pool.StartAsync(volume, Token)).Dispose(); break;
            case Operation.Stop: await Pool.StopAsync(volume, Token); break;
            case Operation.Snapshot: await Pool.SnapshotAsync(volume, RevisionTraits.Of(RevisionCause.Snapshot), Token); break;
            case Operation.Revert: await Pool.RevertAsync(volume, null, Token); break;
            case Operation.Import: await Import(volume, 'i'); break;
            case Operation.Clear: await Pool.ClearAsync(volume, Token); break;
            case Operation.Remove: await Pool.RemoveAsync(volume, Token); break;
            case Operation.Clone:
                using (var export = await Pool.ExportAsync(volume, RevisionId.Parse("2"), Token))
                {
                    await Pool.CloneAsync(volume, export, null, Token);
                }
                break;
            case Operation.Complete:
                await using (var target = await Pool.OpenSnapshotTargetAsync(volume, Token))
                {
                    await target.CompleteAsync(RevisionTraits.Of(RevisionCause.Snapshot), Token);
                }
                break;
            default: throw new ArgumentOutOfRangeException(nameof(operation));
        }
    }

    private static char After(Operation operation) => operation switch
    {
        Operation.Stop or Operation.Complete => 'r',
        Operation.Revert or Operation.Clone => 'a',
        Operation.Import => 'i',
        Operation.Clear => '\0',
        _ => 'b',
    };

    private static async Task<string> MessageOf(Func<Task> act) => (await Assert.ThrowsAsync<MgmtException>(act))!.Message;
}
