using Mgmt.Core;
using NUnit.Framework;

namespace Mgmt.Storage.Tests;

/// <summary>A file system that is really full, at each operation: its own error, the volume as it was, and it works once there is room.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class NoSpaceTests : PoolFixture
{
    private static readonly VolumeRecord Private = Volume("appvms/work/private", save: true, keep: 1);
    private static readonly VolumeRecord Other = Volume("appvms/other/private", save: true, keep: 1);

    public static IEnumerable<TestCaseData> Operations =>
    [
        Case("create", fixture => fixture.Pool.CreateAsync(Volume("appvms/new/private", save: true), fixture.Token)),
        Case("start", async fixture => (await fixture.Pool.StartAsync(Private, fixture.Token)).Dispose()),
        Case("import", fixture => fixture.Import(Private, Bytes(2))),
        Case("clear", fixture => fixture.Pool.ClearAsync(Private, fixture.Token)),
        Case("shrink", fixture => fixture.Pool.ResizeAsync(Private, Size / 2, inUse: false, fixture.Token)),
        Case("target", async fixture => await (await fixture.Pool.OpenSnapshotTargetAsync(Private, fixture.Token)).DisposeAsync()),
        Case("clone", async fixture =>
        {
            using var raw = new OpenVolume(Private.Name, true, Size, [new ImageLayer(PoolDirectory.Open(Path.Combine(fixture.Top, "source"), write: false), "raw", true)]);
            await fixture.Pool.CloneAsync(Private, raw, null, fixture.Token);
        }),
    ];

    [TestCaseSource(nameof(Operations))]
    public async Task An_operation_without_room_changes_nothing(Func<NoSpaceTests, Task> operation)
    {
        await using var full = await FullAsync();
        Assert.That(await CodeOf(() => operation(this)), Is.EqualTo(ErrorCode.MgmtNoSpaceError));
        Assert.That(await Exports(Private, 1), Is.True);
        Assert.That(Pool.Revisions(Private).Length, Is.EqualTo(1));
        Assert.That(await Pool.CheckAsync([Private, Other], new HashSet<Vid>(), mend: false, Token), Is.Empty);
        full.MakeRoom();
        await operation(this);
    }

    [Test]
    public async Task A_stop_without_room_keeps_what_was_written_until_there_is()
    {
        await using var full = await FullAsync(running: true);
        Assert.That(await CodeOf(() => Pool.StopAsync(Private, Token)), Is.EqualTo(ErrorCode.MgmtNoSpaceError));
        Assert.That(await Exports(Private, 1), Is.True);
        Assert.That(await CodeOf(() => Pool.StopAsync(Private, Token)), Is.EqualTo(ErrorCode.MgmtNoSpaceError));
        full.MakeRoom();
        await Pool.StopAsync(Private, Token);
        Assert.That(await Exports(Private, 2), Is.True);
        Assert.That(await Pool.CheckAsync([Private, Other], new HashSet<Vid>(), mend: false, Token), Is.Empty);
    }

    [Test]
    public async Task An_import_into_a_full_reflink_pool_changes_nothing()
    {
        var mount = LoopFileSystem.Mount("xfs", 320);
        await ClosePool();
        await using var pool = await NewDriver("file-reflink", Path.Combine(mount, "pools"), "qemu-img", static _ => { }).OpenAsync(Record(), Token);
        await pool.CreateAsync(Private, Token);
        var filler = Path.Combine(mount, "filler");
        FillUp(filler);
        var import = () => pool.ImportAsync(Private, System.IO.Pipelines.PipeReader.Create(new MemoryStream(Bytes(2))), Size, null, Token);
        Assert.That(await CodeOf(import), Is.EqualTo(ErrorCode.MgmtNoSpaceError));
        Assert.That(await pool.CheckAsync([Private], new HashSet<Vid>(), mend: false, Token), Is.Empty);
        File.Delete(filler);
        await import();
        using var open = await pool.ExportAsync(Private, null, Token);
        Assert.That(await Reads(open, 2), Is.True);
    }

    private static TestCaseData Case(string name, Func<NoSpaceTests, Task> operation) => new TestCaseData(operation).SetArgDisplayNames(name);

    private async Task<Full> FullAsync(bool running = false)
    {
        var mount = LoopFileSystem.Mount("tmpfs", 64);
        await File.WriteAllBytesAsync(Path.Combine(Top, "source"), Bytes(2), Token);
        await ClosePool();
        Pool = await NewDriver("qcow2", Path.Combine(mount, "pools"), "qemu-img", static _ => { }).OpenAsync(Record(), Token);
        await Pool.CreateAsync(Private, Token);
        await Pool.CreateAsync(Other, Token);
        await Filled(Private, 1);
        if (running)
        {
            using var open = await Pool.StartAsync(Private, Token);
            await Write(open, 2);
        }
        FillUp(Path.Combine(mount, "filler"));
        return new Full(Path.Combine(mount, "filler"));
    }

    private static void FillUp(string filler)
    {
        using var file = File.OpenHandle(filler, FileMode.CreateNew, FileAccess.Write);
        foreach (var step in (int[])[1 << 20, 4096])
        {
            try
            {
                while (true)
                {
                    RandomAccess.Write(file, new byte[step], RandomAccess.GetLength(file));
                }
            }
            catch (IOException failure) when (Errno.IsNoSpace(failure))
            {
                // Full, in such steps.
            }
        }
    }

    private sealed record Full(string Filler) : IAsyncDisposable
    {
        internal void MakeRoom() => File.Delete(Filler);

        public ValueTask DisposeAsync()
        {
            MakeRoom();
            return ValueTask.CompletedTask;
        }
    }
}
