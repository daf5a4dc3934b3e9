using System.Diagnostics;
using System.Globalization;
using System.Text;
using Mgmt.Core;
using Mgmt.Testing;
using Mgmt.Wire;

namespace Mgmt.Daemon.Tests;

/// <summary>
/// kill -9 of the daemon in the middle of each call that changes a volume, on real file systems: the next daemon has the old state or the new one, has
/// put its pool right by itself, and nothing is left over. Steps inside the pools are cut off one by one in Mgmt.Storage.Tests.
/// </summary>
[TestFixture("qcow2", "")]
[TestFixture("file-reflink", "btrfs")]
internal sealed class VolumeCrashTests(string driver, string fileSystem)
{
    private const int MiB = 1 << 20, MostChanges = 12, MostTries = 6;
    private const byte Written = 0x5a;
    private static readonly byte[] s_old = DiskImages.Noise(MiB, 1), s_new = DiskImages.Noise(MiB, 2), s_larger = DiskImages.Noise(2 * MiB, 3);
    private static readonly byte[] s_written = [.. Enumerable.Repeat(Written, MiB)];
    private static readonly string[] s_unfinished = [".tmp-", ".next@", ".commit", ".direct"], s_ofRuns = [".run", ".base"];
    private readonly Dictionary<string, byte[]> _revisions = [];
    private QemuDaemon _qemu = null!;
    private MountedFileSystem? _mounted;
    private string _pinned = "", _removed = "", _token = "";

    /// <summary>What is called, what the volume holds after it, and whether what it held is then a revision.</summary>
    private static readonly Dictionary<string, (byte[] Result, bool Keeps)> s_operations = new(StringComparer.Ordinal)
    {
        ["Snapshot"] = (s_old, false),
        ["Snapshot, running"] = (s_old, false),
        ["RemoveSnapshot"] = (s_old, false),
        ["Revert"] = (s_larger, true),
        ["Resize, larger"] = ([.. s_old, .. new byte[MiB]], false),
        ["Resize, smaller"] = (s_old[..(MiB / 2)], false),
        ["Import"] = (s_new, true),
        ["ImportWithSize"] = (s_larger, true),
        ["Clear"] = (new byte[MiB], true),
        ["CloneTo"] = (s_larger, true),
        ["CloneTo, other pool"] = (s_larger, true),
        ["Kill"] = (s_written, true),
    };

    private static IEnumerable<string> Operations => s_operations.Keys;

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
            (cuts, changes) = wasCut ? (cuts + 1, changes + (changes < 4 ? 1 : 2)) : (cuts, changes);
        }
        Assert.That(cuts, Is.GreaterThan(0), "no kill was in time");
        TestContext.Out.WriteLine($"{operation}: cut off {cuts} times");
        await HaltedAsync();
    }

    private async Task PrepareAsync(string operation)
    {
        if (operation == "Snapshot, running")
        {
            if (await Daemon.StateAsync("work") == "Halted")
            {
                await ImportAsync("work", s_old, withSize: true);
                await Daemon.OkAsync("mgmt.vm.Start", "work");
            }
            return;
        }
        await HaltedAsync();
        await ImportAsync("work", s_old, withSize: true);
        if (operation == "RemoveSnapshot")
        {
            _removed = await VolumeAsync("Snapshot", "work");
        }
        if (operation.StartsWith("CloneTo", StringComparison.Ordinal))
        {
            _token = await VolumeAsync("CloneFrom", operation == "CloneTo" ? "other" : "far");
        }
        if (operation == "Kill")
        {
            await Daemon.OkAsync("mgmt.vm.Start", "work");
            await RawMonitor.WriteAsync(RunOfWork, "private", Written, MiB);
        }
    }

    private async Task<Reply> CallAsync(string operation) => operation switch
    {
        "Import" => ReplyParser.Parse(await SendImportAsync("work", s_new, withSize: false)),
        "ImportWithSize" => ReplyParser.Parse(await SendImportAsync("work", s_larger, withSize: true)),
        "Kill" => await Daemon.CallAsync("mgmt.vm.Kill", "work"),
        _ => await Daemon.CallAsync("mgmt.vm.volume." + operation.Split(',')[0], "work", "private", operation switch
        {
            "RemoveSnapshot" => _removed,
            "Revert" => _pinned,
            "Resize, larger" => "2097152",
            "Resize, smaller" => "524288 force",
            "CloneTo" or "CloneTo, other pool" => _token,
            _ => "",
        }),
    };

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

    private async Task VerifyAsync(string operation, string when, bool wasCut)
    {
        await PutRightAsync(when);
        if (operation == "Kill" && await Daemon.StateAsync("work") == "Running")
        {
            // It was killed before QEMU was: the VM goes on, with all it has written.
            await HaltedAsync();
        }
        var (result, keeps) = s_operations[operation];
        var content = await DiskImages.ReadAsync(Image);
        var isNew = content.AsSpan().SequenceEqual(result);
        Assert.That(isNew || (wasCut && operation != "Kill" && content.AsSpan().SequenceEqual(s_old)), Is.True, when);
        Assert.That(await VolumeAsync("Info", "work"), Does.Contain(string.Create(CultureInfo.InvariantCulture, $"\nsize={content.Length}\n")), when);
        var ids = (await VolumeAsync("ListSnapshots", "work")).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(ids, Does.Contain(_pinned), when);
        foreach (var id in ids)
        {
            var holds = await DiskImages.ReadAsync(Directory.GetFiles(Path.GetDirectoryName(Image)!, $"private.rev-{id}@*{Suffix}").Single());
            // An id is never given out twice.
            Assert.That(_revisions.TryGetValue(id, out var known) ? holds.AsSpan().SequenceEqual(known) : s_operations.Values.Any(o => holds.AsSpan().SequenceEqual(o.Result)), Is.True, $"{when}: revision {id}");
            _revisions[id] = holds;
        }
        if (keeps && isNew)
        {
            Assert.That(_revisions[ids[^1]].AsSpan().SequenceEqual(s_old), Is.True, when);
        }
        if (operation == "RemoveSnapshot" && !wasCut)
        {
            Assert.That(ids, Does.Not.Contain(_removed), when);
        }
        AssertNothingElse(when);
    }

    /// <summary>The new daemon adopts and mends by itself, while it serves.</summary>
    private async Task PutRightAsync(string when)
    {
        var limit = Stopwatch.StartNew();
        while (true)
        {
            var state = await Daemon.StateAsync("work");
            var found = await Daemon.OkAsync("mgmt.pool.Check", "dom0", "crash");
            Assert.That(found, Does.Not.Contain("unknown ").And.Not.Contain("damaged ").And.Not.Contain("missing "), when);
            if (found.Length == 0 && state is ("Halted" or "Running"))
            {
                return;
            }
            Assert.That(limit.Elapsed, Is.LessThan(DaemonProcess.Deadline), $"{when}: {state}, {found}");
            await Task.Delay(10);
        }
    }

    private void AssertNothingElse(string when)
    {
        var isHalted = !Directory.Exists(Path.Combine(Daemon.RunDirectory, "vm")) || Directory.GetDirectories(Path.Combine(Daemon.RunDirectory, "vm")).Length == 0;
        var names = Names().Where(name => s_unfinished.Concat(isHalted ? s_ofRuns : []).Any(mark => Path.GetFileName(name).Contains(mark, StringComparison.Ordinal)));
        Assert.That(names, Is.Empty, when);
    }

    private async Task HaltedAsync()
    {
        if (await Daemon.StateAsync("work") != "Halted")
        {
            await Daemon.OkAsync("mgmt.vm.Kill", "work");
        }
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

    private Task<string> VolumeAsync(string call, string vm, string payload = "") => Daemon.OkAsync("mgmt.vm.volume." + call, vm, "private", payload);

    private async Task ImportAsync(string vm, byte[] bytes, bool withSize) => Assert.That(await SendImportAsync(vm, bytes, withSize), Is.EqualTo("0\0"u8.ToArray()));

    private Task<byte[]> SendImportAsync(string vm, byte[] bytes, bool withSize)
    {
        var header = Encoding.ASCII.GetBytes($"mgmt.vm.volume.{(withSize ? "ImportWithSize" : "Import")}+private dom0 name {vm}\0{(withSize ? $"{bytes.Length}\n" : "")}");
        return Daemon.SendRawAsync((byte[])[.. header, .. bytes]);
    }
}
