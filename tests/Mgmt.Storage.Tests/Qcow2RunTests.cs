using System.Diagnostics;
using Mgmt.Core;
using NUnit.Framework;

namespace Mgmt.Storage.Tests;

[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class Qcow2RunTests : PoolFixture
{
    [Test]
    public async Task What_a_volatile_volume_held_is_gone_at_the_next_start()
    {
        var scratch = Volume("appvms/work/volatile", save: false);
        await Pool.CreateAsync(scratch, Token);
        await Filled(scratch, 0x41);
        Assert.That(await Holds(scratch, 0), Is.True);
        Assert.That(Files(PoolPath), Is.Empty);
    }

    [Test]
    public async Task What_an_origin_held_is_there_at_the_next_start([Values("root", "private")] string name)
    {
        var origin = Volume("appvms/work/" + name, save: true);
        await Pool.CreateAsync(origin, Token);
        await Filled(origin, 0x41);
        Assert.That(await Holds(origin, 0x41), Is.True);
        Assert.That(Files(PoolPath), Is.EqualTo(new[] { $"appvms/work/{name}.qcow2" }));
        Assert.That(Pool.Volumes, Is.EqualTo(new[] { origin.Vid!.Value }));
        Assert.That(Pool.UsageBytes(origin.Vid!.Value), Is.GreaterThan(65536));
    }

    [Test]
    public async Task A_snapshot_starts_from_its_source_each_time()
    {
        await Pool.CreateAsync(Template, Token);
        await Filled(Template, 0x41);
        var root = AppRoot();
        await Pool.CreateAsync(root, Token);
        await Filled(root, 0x42);
        Assert.That(await Holds(root, 0x41), Is.True);
        Assert.That(await Holds(Template, 0x41), Is.True);
    }

    [Test]
    public async Task An_origin_snapshot_starts_from_its_source_and_keeps_what_was_written()
    {
        await Pool.CreateAsync(Template, Token);
        await Filled(Template, 0x41);
        var both = Volume("appvms/work/root", save: true, "vm-templates/debian/root");
        await Pool.CreateAsync(both, Token);
        await Filled(both, 0x42);
        Assert.That(await Holds(Volume("appvms/other/root", save: false, "appvms/work/root"), 0x42), Is.True);
        Assert.That(await Holds(both, 0x41), Is.True);
    }

    [Test]
    public async Task A_running_snapshot_does_not_see_its_template_change_and_the_next_start_does()
    {
        await Pool.CreateAsync(Template, Token);
        await Filled(Template, 0x41);
        using (var app = await Pool.StartAsync(AppRoot(), Token))
        using (var template = await Pool.StartAsync(Template, Token))
        {
            await Write(template, 0x42);
            Assert.That(await Reads(app, 0x41), Is.True);
            using (var second = await Pool.StartAsync(AppRoot("second"), Token))
            {
                Assert.That(await Reads(second, 0x41), Is.True, "started while the template runs");
            }
            Assert.That(Pool.IsOutdated(AppRoot()), Is.False);
            template.Dispose();
            await Pool.StopAsync(Template, Token);
            Assert.That(await Reads(app, 0x41), Is.True);
            Assert.That(Pool.IsOutdated(AppRoot()), Is.True);
            await Reopen();
            Assert.That(Pool.IsOutdated(AppRoot()), Is.True, "after a restart");
        }
        await Pool.StopAsync(AppRoot(), Token);
        await Pool.StopAsync(AppRoot("second"), Token);
        Assert.That(await Holds(AppRoot(), 0x42), Is.True);
        Assert.That(Files(PoolPath), Is.EqualTo(new[] { "vm-templates/debian/root.qcow2" }));
    }

    [Test]
    public async Task A_volume_that_runs_on_itself_is_no_source_and_one_with_snapshots_does_not_run_on_itself()
    {
        var source = Volume("appvms/dvm/private", save: true, keep: -1);
        var snapshot = Volume("appvms/disp1/private", save: false, "appvms/dvm/private");
        await Pool.CreateAsync(source, Token);
        using (await Pool.StartAsync(source, Token))
        {
            Assert.That(await CodeOf(() => Pool.StartAsync(snapshot, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        }
        await Pool.StopAsync(source, Token);
        using var open = await Pool.StartAsync(snapshot, Token);
        await Filled(source, 0x42);
        Assert.That(await Reads(open, 0), Is.True);
        Assert.That(await Holds(source, 0x42), Is.True);
    }

    [Test]
    public async Task A_run_that_no_stop_followed_is_kept_at_the_next_start()
    {
        await Pool.CreateAsync(Template, Token);
        using (var open = await Pool.StartAsync(Template, Token))
        {
            await Write(open, 0x41);
        }
        await Reopen();
        Assert.That(await Holds(Template, 0x41), Is.True);
    }

    [Test]
    public async Task A_stop_cut_off_in_the_middle_of_the_commit_is_finished_before_a_snapshot_starts()
    {
        await Pool.CreateAsync(Template, Token);
        using (var open = await Pool.StartAsync(Template, Token))
        {
            await Write(open, 0x41);
        }
        var tool = Path.Combine(Top, "qemu-img-killed");
        await File.WriteAllTextAsync(tool, "#!/bin/sh\nkill -9 $$\n", Token);
        File.SetUnixFileMode(tool, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        await Reopen(tool);
        Assert.That(await CodeOf(() => Pool.StopAsync(Template, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        await Reopen();
        Assert.That(await Holds(AppRoot(), 0x41), Is.True);
        await Pool.StopAsync(Template, Token);
        Assert.That(Files(PoolPath), Is.EqualTo(new[] { "vm-templates/debian/root.qcow2" }));
    }

    [Test]
    public async Task Stop_and_remove_may_be_repeated_and_remove_leaves_the_files_of_others()
    {
        await Pool.CreateAsync(Template, Token);
        await Pool.CreateAsync(Volume("vm-templates/debian/private", save: true), Token);
        var foreign = Path.Combine(PoolPath, "vm-templates/debian/notes.txt");
        await File.WriteAllTextAsync(foreign, "mine", Token);
        await Pool.StopAsync(Template, Token);
        await Pool.StopAsync(Template, Token);
        await Pool.RemoveAsync(Template, Token);
        await Pool.RemoveAsync(Template, Token);
        Assert.That(Files(PoolPath), Is.EqualTo(new[] { "vm-templates/debian/notes.txt", "vm-templates/debian/private.qcow2" }));
        await Pool.RemoveAsync(Volume("vm-templates/debian/private", save: true), Token);
        File.Delete(foreign);
        await Pool.CreateAsync(Template, Token);
        await Pool.RemoveAsync(Template, Token);
        Assert.That(Directory.EnumerateFileSystemEntries(PoolPath), Is.Empty);
        Assert.That(await CodeOf(() => Pool.StartAsync(Template, Token)), Is.EqualTo(ErrorCode.QubesVolumeNotFoundError));
        Assert.That(await CodeOf(() => Pool.StartAsync(AppRoot(), Token)), Is.EqualTo(ErrorCode.QubesVolumeNotFoundError));
    }

    [Test]
    public async Task A_volume_cannot_be_its_own_source()
    {
        var volume = Volume("appvms/work/root", save: false, "appvms/work/root");
        Assert.That(await CodeOf(() => Pool.CreateAsync(volume, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        Assert.That(await CodeOf(() => Pool.StartAsync(volume, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
    }

    [Test]
    public async Task Creating_a_volume_twice_is_refused_and_loses_nothing()
    {
        await Pool.CreateAsync(Template, Token);
        await Filled(Template, 0x41);
        Assert.That(await CodeOf(() => Pool.CreateAsync(Template, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        Assert.That(await Holds(Template, 0x41), Is.True);
    }

    [Test]
    public async Task An_image_whose_header_names_another_file_is_not_opened()
    {
        var volume = Volume("appvms/work/private", save: true);
        await Pool.CreateAsync(volume, Token);
        var image = Path.Combine(PoolPath, "appvms/work/private.qcow2");
        await using (var file = File.OpenWrite(image))
        {
            file.Position = 15;
            file.WriteByte(0x70);
        }
        Assert.That(await CodeOf(() => Pool.StartAsync(volume, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
    }

    [Test]
    public async Task Files_are_for_the_daemon_alone_and_timings_are_printed()
    {
        var clock = Stopwatch.StartNew();
        await Pool.CreateAsync(Template, Token);
        TestContext.Progress.WriteLine($"create {clock.ElapsedMilliseconds} ms");
        clock.Restart();
        using var open = await Pool.StartAsync(AppRoot(), Token);
        TestContext.Progress.WriteLine($"start of a snapshot {clock.ElapsedMilliseconds} ms");
        var modes = Files(PoolPath).Select(file => File.GetUnixFileMode(Path.Combine(PoolPath, file))).Distinct().ToList();
        Assert.That(modes, Is.EqualTo(new[] { UnixFileMode.UserRead | UnixFileMode.UserWrite }));
        clock.Restart();
        await Pool.StopAsync(AppRoot(), Token);
        TestContext.Progress.WriteLine($"stop of a snapshot {clock.ElapsedMilliseconds} ms");
        clock.Restart();
        using (await Pool.StartAsync(Template, Token))
        {
            TestContext.Progress.WriteLine($"start of a template {clock.ElapsedMilliseconds} ms");
        }
        clock.Restart();
        await Pool.StopAsync(Template, Token);
        TestContext.Progress.WriteLine($"stop of a template {clock.ElapsedMilliseconds} ms");
        Assert.That(Pool.Usage.SizeBytes, Is.GreaterThan(Pool.Usage.UsedBytes!.Value));
    }
}
