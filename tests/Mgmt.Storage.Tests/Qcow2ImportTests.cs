using System.IO.Pipelines;
using Mgmt.Core;
using NUnit.Framework;

namespace Mgmt.Storage.Tests;

[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class Qcow2ImportTests : PoolFixture
{
    private static readonly VolumeRecord Private = Volume("appvms/work/private", save: true);

    [SetUp]
    public async Task Fill()
    {
        await Pool.CreateAsync(Private, Token);
        await Filled(Private, 0x41);
    }

    [Test]
    public async Task Exactly_as_many_bytes_as_the_volume_has_replace_it()
    {
        await Import(Private, Bytes(0x42));
        Assert.That(await Holds(Private, 0x42), Is.True);
        OnlyTheVolumeIsThere();
    }

    [Test]
    public async Task Too_few_or_too_many_bytes_change_nothing([Values(-512, -1, 1, 512)] int more)
    {
        Assert.That(await CodeOf(() => Import(Private, Bytes(0x42, Size + more), Size)), Is.EqualTo(ErrorCode.ProtocolError));
        Assert.That(await Holds(Private, 0x41), Is.True);
        OnlyTheVolumeIsThere();
    }

    [Test]
    public async Task Another_size_than_the_volume_had_is_its_new_size()
    {
        await Import(Private, Bytes(0x42, 2 * Size));
        using var open = await Pool.StartAsync(Private, Token);
        Assert.That(open.SizeBytes, Is.EqualTo(2 * Size));
        Assert.That(await Reads(open, 0x42), Is.True);
    }

    [Test]
    public async Task A_size_that_no_disk_has_is_a_wrong_value([Values(0, -512, 513, long.MinValue, long.MaxValue)] long sizeBytes) =>
        Assert.That(await CodeOf(() => Import(Private, [], sizeBytes)), Is.EqualTo(ErrorCode.QubesValueError));

    [Test]
    public async Task A_cancelled_import_changes_nothing()
    {
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var pipe = new Pipe();
        await pipe.Writer.WriteAsync(Bytes(0x42, 4096), Token);
        var import = Pool.ImportAsync(Private, pipe.Reader, Size, null, cancel.Token);
        await cancel.CancelAsync();
        Assert.That(async () => await import, Throws.InstanceOf<OperationCanceledException>());
        Assert.That(await Holds(Private, 0x41), Is.True);
        OnlyTheVolumeIsThere();
    }

    [Test]
    public async Task A_killed_conversion_changes_nothing()
    {
        await Reopen(Script("for last; do :; done\ndd if=/dev/urandom of=\"$last\" bs=4096 count=1 2>/dev/null\nkill -9 $$"));
        Assert.That(await CodeOf(() => Import(Private, Bytes(0x42))), Is.EqualTo(ErrorCode.StoragePoolException));
        await Reopen();
        Assert.That(await Holds(Private, 0x41), Is.True);
        OnlyTheVolumeIsThere();
    }

    [Test]
    public async Task Cancelling_the_conversion_ends_the_tool_and_changes_nothing()
    {
        var fifo = Path.Combine(Top, "fifo");
        LoopFileSystem.Run("mkfifo", fifo);
        await Reopen(Script($"echo $$ > {fifo}; exec sleep 600"));
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var import = Pool.ImportAsync(Private, PipeReader.Create(new MemoryStream(Bytes(0x42))), Size, null, cancel.Token);
        var pid = (await File.ReadAllTextAsync(fifo, Token)).Trim();
        await cancel.CancelAsync();
        Assert.That(async () => await import, Throws.InstanceOf<OperationCanceledException>());
        Assert.That(Directory.Exists("/proc/" + pid), Is.False);
        await Reopen();
        Assert.That(await Holds(Private, 0x41), Is.True);
        OnlyTheVolumeIsThere();
    }

    [Test]
    public async Task A_full_disk_has_its_own_error_and_changes_nothing()
    {
        await Reopen(Script("echo 'qemu-img: error while writing: No space left on device' >&2; exit 1"));
        Assert.That(await CodeOf(() => Import(Private, Bytes(0x42))), Is.EqualTo(ErrorCode.MgmtNoSpaceError));
        await Reopen();
        Assert.That(await Holds(Private, 0x41), Is.True);
        OnlyTheVolumeIsThere();
    }

    [Test]
    public async Task Raw_bytes_that_look_like_an_image_are_raw_bytes()
    {
        var data = Bytes(0);
        var image = await File.ReadAllBytesAsync(Path.Combine(PoolPath, "appvms/work/private.qcow2"), Token);
        image.CopyTo(data, 0);
        await Import(Private, data);
        using var open = await Pool.StartAsync(Private, Token);
        Assert.That(open.SizeBytes, Is.EqualTo(Size));
        Assert.That(await Reads(open, 0x41), Is.False);
    }

    [Test]
    public async Task A_volume_that_runs_or_keeps_nothing_is_not_filled()
    {
        using var open = await Pool.StartAsync(Private, Token);
        Assert.That(await CodeOf(() => Import(Private, Bytes(0x42))), Is.EqualTo(ErrorCode.StoragePoolException));
        Assert.That(await CodeOf(() => Import(AppRoot(), Bytes(0x42))), Is.EqualTo(ErrorCode.StoragePoolException));
    }

    private void OnlyTheVolumeIsThere() => Assert.That(Files(PoolPath), Is.EqualTo(new[] { "appvms/work/private.qcow2" }));
}
