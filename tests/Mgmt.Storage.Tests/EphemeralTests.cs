using System.Text;
using Mgmt.Core;
using NUnit.Framework;

namespace Mgmt.Storage.Tests;

/// <summary>Volumes whose key is thrown away, with the real qemu-img: what of them is on the disk.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
[TestFixture("qcow2", "")]
[TestFixture("file-reflink", "btrfs")]
public sealed class EphemeralTests(string driver, string fileSystem) : PoolFixture(driver, fileSystem)
{
    private static VolumeRecord Scratch { get; } = Volume("appvms/work/volatile", save: false) with { Ephemeral = true };

    private string RunFile => Path.Combine(PoolPath, "appvms", "work", "volatile.run" + Suffix);

    [Test]
    public async Task What_a_run_writes_is_not_found_in_its_file_and_the_file_goes_with_it()
    {
        Assert.That(Pool.CanBeEphemeral, Is.True);
        await Pool.CreateAsync(Scratch, Token);
        var open = await Pool.StartAsync(Scratch, Token);
        Assert.That((open.Layers.Single().Format, open.SizeBytes, open.ReadOnly), Is.EqualTo(("luks", Size, false)));
        await Write(open, 0x41);
        await Write(open, 0x42, $"{Size - 65536} 64k");
        Assert.That(await Reads(open, 0x41), Is.True);
        var bytes = await File.ReadAllBytesAsync(RunFile, Token);
        Assert.That(bytes.AsSpan().StartsWith("LUKS"u8), Is.True);
        Assert.That(bytes.AsSpan().IndexOf(Bytes(0x41, 32)), Is.Negative);
        Assert.That(bytes.AsSpan().IndexOf(open.Key!.Text.Span), Is.Negative, "the key");
        Assert.That(bytes.AsSpan().IndexOf(Convert.FromBase64String(Encoding.ASCII.GetString(open.Key.Text.Span))), Is.Negative, "the key's bytes");
        Assert.That(File.GetUnixFileMode(RunFile), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite));
        Assert.That(Pool.UsageBytes(Scratch.Vid!.Value), Is.LessThan(Size), "sparse");
        open.Dispose();
        Assert.That(() => open.Key.Text, Throws.TypeOf<ObjectDisposedException>());
        await Pool.StopAsync(Scratch, Token);
        Assert.That(Files(PoolPath), Is.Empty);
    }

    [Test]
    public async Task Each_run_has_a_key_of_its_own_and_nothing_of_the_run_before()
    {
        using var first = await Pool.StartAsync(Scratch, Token);
        await Write(first, 0x41);
        var key = Encoding.ASCII.GetString(first.Key!.Text.Span);
        // No stop: as after a crash of the host.
        using var second = await Pool.StartAsync(Scratch, Token);
        Assert.That(Encoding.ASCII.GetString(second.Key!.Text.Span), Is.Not.EqualTo(key));
        Assert.That(await Reads(second, 0x41), Is.False);
        Assert.That(await Reads(second with { Key = first.Key }, 0x41), Is.False);
        Assert.That($"{first}{first.Key}", Does.Not.Contain(key));
    }

    [Test]
    public async Task What_a_crash_left_is_found_and_removed()
    {
        (await Pool.StartAsync(Scratch, Token)).Dispose();
        await Reopen();
        var found = (await Pool.CheckAsync([Scratch], new HashSet<Vid>(), mend: true, Token)).Single();
        Assert.That((found.Kind, found.What, found.Mended), Is.EqualTo(("leftover", "appvms/work/volatile", true)));
        Assert.That(Files(PoolPath), Is.Empty);
    }

    [Test]
    public async Task It_grows_while_it_runs_and_never_shrinks_then()
    {
        using var open = await Pool.StartAsync(Scratch, Token);
        await Pool.ResizeAsync(Scratch, Size * 2, inUse: true, Token);
        Assert.That(await CodeOf(() => Pool.ResizeAsync(Scratch, Size - 512, inUse: true, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        await Pool.StopAsync(Scratch, Token);
        await Pool.ResizeAsync(Scratch, Size / 2, inUse: false, Token);
        using var smaller = await Pool.StartAsync(Scratch with { SizeBytes = Size / 2 }, Token);
        await Write(smaller, 0x41, $"{(Size / 2) - 65536} 64k");
        await Pool.StopAsync(Scratch, Token);
    }

    [Test]
    public async Task Nothing_of_it_is_kept()
    {
        await Pool.CreateAsync(Victim.Kept, Token);
        using var open = await Pool.StartAsync(Scratch, Token);
        using var other = await Pool.ExportAsync(Victim.Kept, null, Token);
        var traits = RevisionTraits.Of(RevisionCause.Snapshot);
        foreach (var attempt in (Func<Task>[])[
            () => Pool.SnapshotAsync(Scratch, traits, Token),
            () => Pool.OpenSnapshotTargetAsync(Scratch, Token),
            () => Pool.ExportAsync(Scratch, null, Token),
            () => Pool.RevertAsync(Scratch, null, Token),
            () => Pool.CloneAsync(Scratch, other, null, Token),
            () => Import(Scratch, Bytes(1))])
        {
            Assert.That((await Assert.ThrowsAsync<MgmtException>(attempt))!.Message, Does.Contain("ephemeral"));
        }
    }

    [Test]
    public async Task Only_a_volume_that_begins_empty_and_keeps_nothing_is_ephemeral()
    {
        foreach (var volume in new[] { Victim.Kept, AppRoot() })
        {
            Assert.That(await CodeOf(() => Pool.CreateAsync(volume with { Ephemeral = true }, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
            Assert.That(await CodeOf(() => Pool.StartAsync(volume with { Ephemeral = true }, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        }
        Assert.That(Files(PoolPath), Is.Empty);
    }

    [Test]
    public async Task Qemu_img_gets_the_key_by_no_argument_and_no_variable()
    {
        var told = Path.Combine(Top, "told");
        await Reopen(Script($"{{ echo \"$@\"; env; }} > {told}; exec qemu-img \"$@\""));
        using var open = await Pool.StartAsync(Scratch, Token);
        var said = await File.ReadAllTextAsync(told, Token);
        Assert.That(said, Does.Contain("create").And.Contain("luks").And.Contain("LC_ALL=C"));
        Assert.That(said, Does.Not.Contain(Encoding.ASCII.GetString(open.Key!.Text.Span)));
    }

    [Test]
    public async Task A_qemu_img_that_could_not_measure_its_time_is_asked_again()
    {
        var failed = Path.Combine(Top, "failed");
        // As the real one does it: it removes the file that was there.
        const string Fail = "for file; do case $file in *.tmp-*) rm -f \"$file\";; esac; done; echo \"qemu-img: x: Unable to get accurate CPU usage\" >&2; exit 1";
        await Reopen(Script($"[ -e {failed}2 ] && exec qemu-img \"$@\"; [ -e {failed} ] && touch {failed}2; touch {failed}; {Fail}"));
        using var open = await Pool.StartAsync(Scratch, Token);
        Assert.That(File.GetUnixFileMode(RunFile), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite));
        await Pool.StopAsync(Scratch, Token);
        await Reopen(Script(Fail));
        Assert.That(await CodeOf(() => Pool.StartAsync(Scratch, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        Assert.That(Files(PoolPath), Is.Empty);
    }

    [TestCase("yes", true)]
    [TestCase("perhaps", false)]
    public async Task The_pool_setting_is_a_truth_value(string value, bool ok)
    {
        await ClosePool();
        var record = Record() with { Config = VmRecord.Empty.Add("ephemeral_volatile", value) };
        if (ok)
        {
            await using var pool = await Driver().OpenAsync(record, Token);
            Assert.That(pool.Record, Is.EqualTo(record));
        }
        else
        {
            Assert.That(await CodeOf(() => Driver().OpenAsync(record, Token)), Is.EqualTo(ErrorCode.QubesValueError));
        }
        Pool = await Driver().OpenAsync(Record(), Token);
    }
}
