using System.Diagnostics;
using System.Globalization;
using Mgmt.Core;
using NUnit.Framework;

namespace Mgmt.Storage.Tests;

/// <summary>kill -9 at every step of every operation of several steps, on a real file system.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
[TestFixture("qcow2", "")]
[TestFixture("qcow2", "xfs")]
[TestFixture("file-reflink", "btrfs")]
public sealed class CrashTests(string driver, string fileSystem) : PoolFixture(driver, fileSystem)
{
    private static readonly VolumeRecord[] Known = [Victim.Kept, Victim.Other, Victim.Snapshot];
    private string _prepared = "";

    public static IEnumerable<string> Operations => Victim.Operations.Keys;

    [TestCaseSource(nameof(Operations))]
    [CancelAfter(300_000)]
    public async Task A_kill_at_any_step_leaves_the_old_or_the_new_state_and_check_leaves_nothing_else(string operation, CancellationToken deadline)
    {
        await Prepare(operation);
        await ClosePool();
        _prepared = Path.Combine(Top, "prepared");
        LoopFileSystem.Run("cp", "-a", "--reflink=auto", Path.Combine(Top, "pools"), _prepared);
        var steps = new List<string>();
        while (await KilledAsync(operation, steps.Count + 1, deadline) is { } step)
        {
            steps.Add(step);
            await VerifyAsync(operation, $"killed before step {steps.Count}: {step}");
        }
        await VerifyAsync(operation, "done");
        TestContext.Out.WriteLine($"{operation}: {string.Join("; ", steps)}");
        Assert.That(steps, Is.Not.Empty);
    }

    private async Task Prepare(string operation)
    {
        await Pool.CreateAsync(Victim.Kept, Token);
        await Pool.CreateAsync(Victim.Other, Token);
        await Filled(Victim.Other, Victim.New);
        // Revision 1 holds zeros, revision 2 what is reverted to after that.
        await Filled(Victim.Kept, Victim.Old);
        if (operation is "stop" or "stop, nothing kept" or "stop of a run on itself" or "copy of a running one")
        {
            using var open = await Pool.StartAsync(operation switch { "stop, nothing kept" => Victim.Unkept, "stop of a run on itself" => Victim.Direct, _ => Victim.Kept }, Token);
            await Write(open, Victim.New);
        }
        if (operation == "clone from another pool")
        {
            var raw = Path.Combine(Top, "source.raw");
            await File.WriteAllBytesAsync(raw, Bytes(Victim.New), Token);
            LoopFileSystem.Run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, Path.Combine(Top, Victim.Source));
        }
    }

    /// <summary>The step at which the victim ended, on a fresh copy of the prepared pool; null when it came to its end.</summary>
    private async Task<string?> KilledAsync(string operation, int step, CancellationToken deadline)
    {
        var pools = Path.Combine(Top, "pools");
        Directory.Delete(pools, recursive: true);
        LoopFileSystem.Run("cp", "-a", "--reflink=auto", _prepared, pools);
        using var victim = Process.Start(new ProcessStartInfo(Environment.ProcessPath!)
        {
            ArgumentList = { "--victim", DriverName, pools, operation, step.ToString(CultureInfo.InvariantCulture) },
            RedirectStandardOutput = true,
            WorkingDirectory = Top,
        })!;
        var output = (await victim.StandardOutput.ReadToEndAsync(deadline)).Trim();
        await victim.WaitForExitAsync(deadline);
        Assert.That(victim.ExitCode, Is.EqualTo(output.Length == 0 ? 0 : 128 + 9), operation);
        return output.Length == 0 ? null : output;
    }

    private async Task VerifyAsync(string operation, string when)
    {
        await using var pool = await Driver().OpenAsync(Record(), Token);
        VolumeRecord[] known = operation switch
        {
            "create" => [.. Known, Volume("appvms/new/private", save: true)],
            _ => Known,
        };
        var before = await pool.CheckAsync(known, new HashSet<Vid>(), mend: true, Token);
        Assert.That(before.Where(finding => finding.Kind is "unknown" or "damaged"), Is.Empty, when);
        var after = await pool.CheckAsync(known, new HashSet<Vid>(), mend: true, Token);
        Assert.That(after.Where(finding => !Expected(operation, finding)), Is.Empty, when);
        var files = Files(PoolPath).Select(file => file.Split('@')[0]).ToList();
        Assert.That(files.Where(file => file.Contains(".tmp-", StringComparison.Ordinal) || file.Contains(".next", StringComparison.Ordinal)
            || file.Contains(".run", StringComparison.Ordinal) || file.Contains(".base", StringComparison.Ordinal) || file.Contains(".commit", StringComparison.Ordinal)), Is.Empty, when);
        await VerifyContentAsync(pool, operation, when);
    }

    // What the API puts right with the record of a volume: its size, or that the volume is not there (yet, or any more).
    private static bool Expected(string operation, PoolFinding finding) => finding.Kind switch
    {
        "size" => operation is "grow" or "shrink" or "import of another size",
        "missing" => operation is "create" or "remove",
        _ => false,
    };

    private async Task VerifyContentAsync(IStoragePool pool, string operation, string when)
    {
        var revisions = pool.Revisions(Victim.Kept);
        if (operation == "remove")
        {
            await pool.RemoveAsync(Victim.Kept, Token);
            Assert.That(Files(PoolPath), Is.EqualTo(new[] { "appvms/other/private" + Suffix }), when);
            return;
        }
        using var now = await pool.ExportAsync(Victim.Kept, null, Token);
        var isOld = await Reads(now, Victim.Old);
        var isNew = !isOld && await Reads(now, operation is "clear" or "revert" ? (byte)0 : Victim.New);
        Assert.That(isOld || isNew, Is.True, when);
        if (when == "done")
        {
            Assert.That(isNew, Is.EqualTo(operation is "stop" or "stop, nothing kept" or "stop of a run on itself" or "import" or "import of another size" or "clone" or "clone from another pool"
                or "clear" or "revert" or "copy of a running one"), when);
        }
        Assert.That(revisions.Select(revision => revision.Id.Value), Is.EqualTo(Ids(operation, isNew, [.. revisions])), when);
        foreach (var revision in revisions)
        {
            using var open = await pool.ExportAsync(Victim.Kept, revision.Id, Token);
            Assert.That(await Reads(open, revision.Id.Value == "1" || revision.Traits.Quiesced == Quiesced.No ? (byte)0 : Victim.Old), Is.True, $"{when}: revision {revision.Id}");
        }
        Assert.That(await ReadsOther(pool), Is.True, when);
    }

    /// <summary>The revisions there must be, by what the volume holds and how many there are.</summary>
    private static string[] Ids(string operation, bool isNew, Revision[] found) => operation switch
    {
        "import" or "import of another size" or "clone" or "clone from another pool" or "clear" or "revert" => isNew ? ["1", "2"] : ["1"],
        // A run that was mended is saved as a stop saves it.
        "stop" => ["1", "2"],
        "start" or "stop, nothing kept" or "snapshot" => found.Length == 2 ? ["1", "2"] : ["1"],
        "copy of a running one" => found[0].Id.Value == "2" ? ["2", "3"] : ["1", "2"],
        "remove a revision" => found.Length == 0 ? [] : ["1"],
        _ => ["1"],
    };

    private async Task<bool> ReadsOther(IStoragePool pool)
    {
        using var open = await pool.ExportAsync(Victim.Other, null, Token);
        return await Reads(open, Victim.New);
    }
}
