using System.Diagnostics;
using System.Text.Json;
using Mgmt.Core;
using Mgmt.Testing;
using Mgmt.Wire;

namespace Mgmt.Daemon.Tests;

/// <summary>
/// kill -9 of the daemon in the middle of each call that changes disks, on real file systems: the next daemon has the old state or the new one, has
/// put its pool right by itself, and nothing is left over.
/// </summary>
[NonParallelizable]
[TestFixture("qcow2", "")]
[TestFixture("file-reflink", "btrfs")]
internal sealed partial class StorageCrashTests(string driver, string fileSystem)
{
    private const int MostChanges = 12, MostTries = 6;
    private static readonly string[] s_unfinished = [".tmp-", ".next@", ".commit", ".direct"], s_ofRuns = [".run", ".base"];
    private QemuDaemon _qemu = null!;
    private MountedFileSystem? _mounted;

    private static IEnumerable<string> Operations => [.. s_changes.Keys, .. s_creations];

    private DaemonProcess Daemon => _qemu.Process;

    private string Pool => Path.Combine(Daemon.StateDirectory, "pools", "crash");

    private string Suffix => driver == "qcow2" ? ".qcow2" : ".img";

    private string Image => Path.Combine(Pool, "appvms", "work", "private" + Suffix);

    private string RunOfWork => Directory.GetDirectories(Path.Combine(Daemon.RunDirectory, "vm"), "*-work").Single();

    [OneTimeSetUp]
    public async Task Start()
    {
        _qemu = await QemuDaemon.StartAsync();
        _mounted = fileSystem.Length > 0 ? new(fileSystem, Pool, 400) : null;
        await Daemon.OkAsync("mgmt.pool.Add", "dom0", driver, $"name=crash\ndir_path={Pool}\nrevisions_to_keep=2\n");
        foreach (var (name, pool) in new[] { ("work", "crash"), ("other", "crash"), ("far", "default") })
        {
            await Daemon.OkAsync("mgmt.vm.CreateInPool.StandaloneVM", "dom0", "", $"name={name} label=red pool={pool}");
            await VolumeAsync("Resize", name, $"{s_larger.Length} force");
            await ImportAsync(name, s_larger, withSize: false);
        }
        await Daemon.OkAsync("mgmt.vm.property.Set", "work", "kernel", "");
        await Daemon.OkAsync("mgmt.vm.property.Set", "work", "memory", "160");
        _pinned = await VolumeAsync("Snapshot", "work", "pin=yes");
        _revisions[_pinned] = s_larger;
        // What the import replaced.
        _revisions["1"] = new byte[s_larger.Length];
        await Daemon.OkAsync("mgmt.property.Set", "dom0", "default_pool_root", "crash");
        await Daemon.OkAsync("mgmt.property.Set", "dom0", "default_pool_private", "crash");
    }

    [OneTimeTearDown]
    public async Task Stop()
    {
        // QEMU and the daemon, then the pool they have open, then its directory.
        if (_qemu is not null)
        {
            await _qemu.EndAsync();
        }
        _mounted?.Dispose();
        if (_qemu is not null)
        {
            await _qemu.DisposeAsync();
        }
    }

    [TestCaseSource(nameof(Operations))]
    public async Task A_daemon_killed_at_any_step_of_a_change_leaves_the_old_or_the_new_state(string operation)
    {
        var cuts = 0;
        var wasCut = true;
        for (var (changes, tries) = (1, 0); changes <= MostChanges && (wasCut || (cuts == 0 && tries < MostTries)); tries++)
        {
            await PrepareAsync(operation);
            wasCut = await CutAsync(operation, changes);
            await Daemon.StartAgainAsync();
            await VerifyAsync(operation, $"{driver}: killed after {changes} changes, {(wasCut ? "before" : "after")} the answer", wasCut);
            (cuts, changes) = wasCut ? (cuts + 1, changes + Math.Max(1, changes / 2)) : (cuts, changes);
        }
        Assert.That(cuts, Is.GreaterThan(0), "no kill was in time");
        Assert.That(operation != "Remove" || Daemon.Log.Contains("was left half-made or half-removed, and is removed", StringComparison.Ordinal), Is.True);
        TestContext.Out.WriteLine($"{operation}: cut off {cuts} times");
        await HaltedAsync();
    }

    private Task PrepareAsync(string operation) => s_creations.Contains(operation) ? PrepareVmAsync(operation) : PrepareVolumeAsync(operation);

    private Task<Reply> CallAsync(string operation) => s_creations.Contains(operation) ? CallVmAsync(operation) : CallVolumeAsync(operation);

    private async Task VerifyAsync(string operation, string when, bool wasCut)
    {
        await PutRightAsync(when);
        await (s_creations.Contains(operation) ? VerifyVmAsync(operation, when, wasCut) : VerifyVolumeAsync(operation, when, wasCut));
        AssertNothingElse(when);
    }

    /// <summary>Begins the call and kills the daemon after so many changes of its store or its pool, or when it has answered; true when it never answered.</summary>
    private async Task<bool> CutAsync(string operation, int changes)
    {
        var before = Signature();
        var call = CallAsync(operation);
        for (var seen = 0; seen < changes && !call.IsCompleted;)
        {
            if (Signature() is var now && now != before)
            {
                (before, seen) = (now, seen + 1);
            }
        }
        await Daemon.KillHardAsync();
        try
        {
            return await call is not Reply.Ok;
        }
        catch (MgmtException)
        {
            // Nobody was left to answer.
            return true;
        }
    }

    /// <summary>The new daemon adopts and mends by itself, while it serves.</summary>
    private async Task PutRightAsync(string when)
    {
        var limit = Stopwatch.StartNew();
        while (true)
        {
            var (state, unfinished) = (await Daemon.StateAsync("work"), await UnfinishedAsync());
            var found = await Daemon.OkAsync("mgmt.pool.Check", "dom0", "crash");
            Assert.That(found, Does.Not.Contain("unknown ").And.Not.Contain("damaged ").And.Not.Contain("missing "), when);
            if (found.Length == 0 && unfinished == 0 && state is ("Halted" or "Running"))
            {
                return;
            }
            Assert.That(limit.Elapsed, Is.LessThan(DaemonProcess.Deadline), $"{when}: {state}, {unfinished} unfinished, {found}");
            await Task.Delay(10);
        }
    }

    /// <summary>How many volumes an earlier daemon left half-made or half-removed.</summary>
    private async Task<int> UnfinishedAsync()
    {
        using var status = JsonDocument.Parse(await Daemon.OkAsync("mgmt.Status"));
        return status.RootElement.GetProperty("storage").EnumerateArray().Sum(pool => pool.GetProperty("unfinished").GetInt32());
    }

    private void AssertNothingElse(string when)
    {
        var isHalted = !Directory.Exists(Path.Combine(Daemon.RunDirectory, "vm")) || Directory.GetDirectories(Path.Combine(Daemon.RunDirectory, "vm")).Length == 0;
        var names = Names().Where(name => s_unfinished.Concat(isHalted ? s_ofRuns : []).Any(mark => Path.GetFileName(name).Contains(mark, StringComparison.Ordinal)));
        Assert.That(names, Is.Empty, when);
    }

    /// <summary>What a step changes: the store's log, or the names in the pool.</summary>
    private string Signature()
    {
        var log = new FileInfo(Path.Combine(Daemon.StateDirectory, "state.db-wal"));
        return $"{(log.Exists ? log.Length : 0)} {string.Join(' ', Names())}";
    }

    private List<string> Names()
    {
        while (true)
        {
            try
            {
                return [.. Directory.EnumerateFiles(Pool, "*", SearchOption.AllDirectories).Select(path => Path.GetRelativePath(Pool, path)).Order(StringComparer.Ordinal)];
            }
            catch (DirectoryNotFoundException)
            {
                // One went while its turn came.
            }
        }
    }
}
