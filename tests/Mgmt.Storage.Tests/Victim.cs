using System.Diagnostics;
using System.IO.Pipelines;
using Mgmt.Core;

namespace Mgmt.Storage.Tests;

/// <summary>
/// Opens a pool that <see cref="CrashTests"/> prepared, does one operation and kills itself (SIGKILL) right before its step number so and so;
/// steps are the changes of files and the starts of qemu-img. Ends with 0 when the operation has fewer steps.
/// </summary>
internal static class Victim
{
    /// <summary>Writes to the volume keep its first 64 KiB: OLD, and after the operation NEW.</summary>
    internal const byte Old = 0x41, New = 0x42;

    internal static VolumeRecord Kept { get; } = PoolFixture.Volume("appvms/work/private", save: true, keep: 2);

    internal static VolumeRecord Unkept { get; } = Kept with { RevisionsToKeep = 0 };

    internal static VolumeRecord Direct { get; } = Kept with { RevisionsToKeep = -1 };

    internal static VolumeRecord Other { get; } = PoolFixture.Volume("appvms/other/private", save: true);

    /// <summary>An image of another pool, in the victim's working directory.</summary>
    internal const string Source = "source.qcow2";

    internal static VolumeRecord Snapshot { get; } = PoolFixture.Volume("appvms/work/root", save: false, Other.Vid!.Value.Value);

    /// <summary>What is done, by name.</summary>
    internal static IReadOnlyDictionary<string, Func<IStoragePool, Task>> Operations { get; } = new Dictionary<string, Func<IStoragePool, Task>>(StringComparer.Ordinal)
    {
        ["stop"] = pool => pool.StopAsync(Kept, CancellationToken.None),
        ["stop, nothing kept"] = pool => pool.StopAsync(Unkept, CancellationToken.None),
        ["stop of a run on itself"] = pool => pool.StopAsync(Direct, CancellationToken.None),
        ["import of another size"] = pool => pool.ImportAsync(Kept, PipeReader.Create(new MemoryStream([.. Enumerable.Repeat(New, (int)Kept.SizeBytes * 2)])), Kept.SizeBytes * 2, null, CancellationToken.None),
        ["clone from another pool"] = async pool =>
        {
            using var source = new OpenVolume(Other.Name, true, Other.SizeBytes, [new ImageLayer(PoolDirectory.Open(Source, write: false), "qcow2", true)]);
            await pool.CloneAsync(Kept, source, null, CancellationToken.None);
        },
        ["import"] = pool => pool.ImportAsync(Kept, PipeReader.Create(new MemoryStream([.. Enumerable.Repeat(New, (int)Kept.SizeBytes)])), Kept.SizeBytes, null, CancellationToken.None),
        ["clone"] = async pool =>
        {
            using var source = await pool.ExportAsync(Other, null, CancellationToken.None);
            await pool.CloneAsync(Kept, source, null, CancellationToken.None);
        },
        ["clear"] = pool => pool.ClearAsync(Kept, CancellationToken.None),
        ["revert"] = pool => pool.RevertAsync(Kept, RevisionId.Parse("1"), CancellationToken.None),
        ["shrink"] = pool => pool.ResizeAsync(Kept, Kept.SizeBytes / 2, inUse: false, CancellationToken.None),
        ["grow"] = pool => pool.ResizeAsync(Kept, Kept.SizeBytes * 2, inUse: false, CancellationToken.None),
        ["snapshot"] = pool => pool.SnapshotAsync(Kept, new("a name", true, RevisionCause.Snapshot, Quiesced.Yes), CancellationToken.None),
        ["copy of a running one"] = async pool =>
        {
            await using var target = await pool.OpenSnapshotTargetAsync(Kept, CancellationToken.None);
            await target.CompleteAsync(new(null, false, RevisionCause.Snapshot, Quiesced.No), CancellationToken.None);
        },
        ["remove a revision"] = pool => pool.RemoveRevisionAsync(Kept, RevisionId.Parse("1"), true, CancellationToken.None),
        ["create"] = pool => pool.CreateAsync(PoolFixture.Volume("appvms/new/private", save: true), CancellationToken.None),
        ["remove"] = pool => pool.RemoveAsync(Kept, CancellationToken.None),
        ["start"] = async pool => (await pool.StartAsync(Kept, CancellationToken.None)).Dispose(),
        ["start a snapshot"] = async pool => (await pool.StartAsync(Snapshot, CancellationToken.None)).Dispose(),
    };

    internal static async Task<int> RunAsync(string driver, string directory, string operation, int step)
    {
        var steps = 0;
        var counting = false;
        void Reached(string what)
        {
            if (counting && ++steps == step)
            {
                Console.WriteLine(what);
                Console.Out.Flush();
                using var self = Process.GetCurrentProcess();
                self.Kill();
                Thread.Sleep(Timeout.Infinite);
            }
        }
        await using var pool = await PoolFixture.NewDriver(driver, directory, "qemu-img", Reached).OpenAsync(PoolFixture.Record(), CancellationToken.None);
        counting = true;
        await Operations[operation](pool);
        return 0;
    }
}
