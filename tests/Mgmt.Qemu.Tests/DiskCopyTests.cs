using System.Diagnostics;
using System.Globalization;
using Mgmt.Core;
using Mgmt.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mgmt.Qemu.Tests;

/// <summary>Copies of a running guest's disk, read back; the real QEMU, the real guest.</summary>
[Category("integration")]
public sealed class DiskCopyTests
{
    // Slow enough that a copy is under way until the test ends it.
    private const long Slow = 64 * 1024;
    // QEMU keeps what the guest overwrites by itself: 1 MiB of it is saved while the guest runs on.
    private const string Writer = "while :; do head -c 65536 /dev/urandom > /root/noise; sync; done";

    private QemuTestHost _host;
    private CancellationTokenSource _patience;

    private CancellationToken Patience => _patience.Token;

    private static long RootBytes => new FileInfo(GuestFiles.RootImage).Length;

    [OneTimeSetUp]
    public void Build_the_guest() => GuestFiles.Require();

    [SetUp]
    public void Open()
    {
        _patience = new CancellationTokenSource(QemuTestHost.Patience);
        _host = new QemuTestHost();
    }

    [TearDown]
    public async Task Close()
    {
        await _host.DisposeAsync();
        _patience.Dispose();
    }

    [TestCase("qcow2")]
    [TestCase("raw")]
    public async Task A_copy_holds_what_was_there_when_it_began_while_the_guest_writes_on(string format)
    {
        await using var vm = await ReadyAsync();
        using var target = new CopyTarget(_host.Disks, format, RootBytes);
        await vm.ShellAsync("echo before > /root/before; sync", Patience);
        await vm.StartShellAsync(Writer, Patience);
        await using var copy = await vm.BeginCopyAsync(VolumeName.Root, target.Image, null, Patience);
        await vm.ShellAsync("echo after > /root/after; echo changed > /root/before; sync", Patience);
        await copy.Completed.WaitAsync(Patience);
        Assert.That(copy.Progress.DoneBytes, Is.EqualTo(copy.Progress.TotalBytes).And.GreaterThanOrEqualTo(RootBytes));
        await AssertNothingLeftAsync(vm);
        var raw = target.ToRaw();
        Assert.That(CopyTarget.ReadFile(raw, "/root/before"), Is.EqualTo("before\n"));
        Assert.That(CopyTarget.ReadFile(raw, "/root/after"), Is.Null);
    }

    [Test]
    public async Task A_copy_begun_while_the_guest_is_frozen_needs_no_repair()
    {
        await using var vm = await ReadyAsync();
        using var target = new CopyTarget(_host.Disks, "qcow2", RootBytes);
        await vm.StartShellAsync(Writer, Patience);
        await vm.Agent.ExecuteAsync("guest-fsfreeze-freeze", null, QemuTestHost.Patience, Patience);
        await using var copy = await vm.BeginCopyAsync(VolumeName.Root, target.Image, null, Patience);
        await vm.Agent.ExecuteAsync("guest-fsfreeze-thaw", null, QemuTestHost.Patience, Patience);
        await copy.Completed.WaitAsync(Patience);
        var (code, said) = CopyTarget.Output("e2fsck", "-fn", target.ToRaw());
        Assert.That(code, Is.Zero, said);
        Assert.That(said, Does.Not.Contain("journal").IgnoreCase);
    }

    [Test]
    public async Task A_disk_is_copied_once_at_a_time_and_a_cancelled_copy_leaves_nothing()
    {
        await using var vm = await ReadyAsync(Slow);
        using var target = new CopyTarget(_host.Disks, "qcow2", RootBytes);
        await CodeAsync(ErrorCode.QubesVolumeNotFoundError, vm.BeginCopyAsync(VolumeName.Private, target.Image, null, Patience));
        await CodeAsync(ErrorCode.StoragePoolException, vm.BeginCopyAsync(VolumeName.Root, target.Image with { Format = "vmdk" }, null, Patience));
        await using (var copy = await vm.BeginCopyAsync(VolumeName.Root, target.Image, null, Patience))
        {
            await CodeAsync(ErrorCode.MgmtBusyError, vm.BeginCopyAsync(VolumeName.Root, target.Image, null, Patience));
            await CodeAsync(ErrorCode.MgmtBusyError, vm.ResizeDiskAsync(VolumeName.Root, RootBytes * 2, Patience));
            Assert.That(copy.Completed.IsCompleted, Is.False);
            await copy.DisposeAsync();
            await CodeAsync(ErrorCode.MgmtCancelledError, copy.Completed);
        }
        await AssertNothingLeftAsync(vm);
        await using var again = await vm.BeginCopyAsync(VolumeName.Root, target.Image, null, Patience);
        await vm.KillAsync(Patience);
        await CodeAsync(ErrorCode.MgmtUnavailableError, again.Completed);
    }

    [Test]
    public async Task A_target_that_QEMU_cannot_open_is_refused_and_leaves_nothing()
    {
        await using var vm = await ReadyAsync();
        using var target = new CopyTarget(_host.Disks, "raw", RootBytes);
        await CodeAsync(ErrorCode.StoragePoolException, vm.BeginCopyAsync(VolumeName.Root, target.Image with { Format = "qcow2" }, null, Patience));
        using var shorter = new CopyTarget(Directory.CreateDirectory(Path.Combine(_host.Disks, "short")).FullName, "raw", 1 << 20);
        await CodeAsync(ErrorCode.StoragePoolException, vm.BeginCopyAsync(VolumeName.Root, shorter.Image, null, Patience));
        await AssertNothingLeftAsync(vm);
    }

    [Test]
    public async Task A_full_target_fails_the_copy_and_the_guest_goes_on()
    {
        SmallFileSystem.Require();
        using var small = new SmallFileSystem(Path.Combine(_host.Disks, "small"), 4);
        await using var vm = await ReadyAsync();
        using var target = new CopyTarget(small.Path, "qcow2", RootBytes);
        await using var copy = await vm.BeginCopyAsync(VolumeName.Root, target.Image, null, Patience);
        await CodeAsync(ErrorCode.MgmtNoSpaceError, copy.Completed);
        await AssertNothingLeftAsync(vm);
        Assert.That(await vm.ShellAsync("echo on > /root/on; sync; cat /root/on", Patience), Is.EqualTo("on\n"));
    }

    [Test]
    public async Task A_full_target_that_the_guest_hits_first_does_not_pause_the_guest()
    {
        SmallFileSystem.Require();
        using var small = new SmallFileSystem(Path.Combine(_host.Disks, "small"), 1);
        await using var vm = await ReadyAsync(Slow);
        // Something to overwrite.
        await vm.ShellAsync("dd if=/dev/urandom of=/root/big bs=1M count=8; sync", Patience);
        using var target = new CopyTarget(small.Path, "qcow2", RootBytes);
        await using var copy = await vm.BeginCopyAsync(VolumeName.Root, target.Image, null, Patience);
        await vm.ShellAsync("dd if=/dev/zero of=/root/big bs=1M count=8 conv=notrunc; sync", Patience);
        await CodeAsync(ErrorCode.MgmtNoSpaceError, copy.Completed);
        await AssertNothingLeftAsync(vm);
        Assert.That(await vm.ShellAsync("echo on > /root/on; sync; cat /root/on", Patience), Is.EqualTo("on\n"));
        while (vm.Signals.TryRead(out var signal))
        {
            Assert.That(signal, Is.InstanceOf<VmSignal.AgentChanged>());
        }
    }

    [Test]
    public async Task A_full_disk_stops_the_guest_which_goes_on_when_there_is_room()
    {
        SmallFileSystem.Require();
        using var small = new SmallFileSystem(Path.Combine(_host.Disks, "small"), 6);
        var backend = await _host.OpenBackendAsync(Patience);
        var launch = _host.NewLaunch("work");
        launch.Disks[0].Dispose();
        launch = launch with { Disks = [GuestFiles.NewRoot(small.Path, "work")] };
        await using var vm = await StartAsync(backend, launch);
        await vm.StartShellAsync("dd if=/dev/urandom of=/root/big bs=1M count=16; sync; md5sum /root/big > /tmp/sum; touch /tmp/done", Patience);
        Assert.That(await QemuTestHost.SignalAsync<VmSignal.Stopped>(vm, _ => true, Patience), Is.EqualTo(new VmSignal.Stopped("no-space")));
        // Nothing was made: it stops again.
        await vm.ContinueAsync(Patience);
        await QemuTestHost.SignalAsync<VmSignal.Stopped>(vm, stopped => stopped.Reason == "no-space", Patience);
        small.Grow(64);
        await vm.ContinueAsync(Patience);
        while (vm.Agent.State != AgentState.Ready)
        {
            await Task.Delay(20, Patience);
        }
        await vm.ShellAsync("while [ ! -e /tmp/done ]; do usleep 20000; done; echo 3 > /proc/sys/vm/drop_caches; md5sum -c /tmp/sum; ! dmesg | grep -i 'I/O error'", Patience);
    }

    [Test]
    public async Task A_disk_grows_and_the_guest_sees_it()
    {
        await using var vm = await ReadyAsync();
        await vm.ResizeDiskAsync(VolumeName.Root, RootBytes + (64 << 20), Patience);
        var sectors = ((RootBytes + (64 << 20)) / 512).ToString(CultureInfo.InvariantCulture);
        Assert.That(await vm.ShellAsync($"n=0; while [ $(cat /sys/block/vda/size) != {sectors} ] && [ $n -lt 200 ]; do usleep 20000; n=$((n+1)); done; cat /sys/block/vda/size", Patience), Is.EqualTo(sectors + "\n"));
        await CodeAsync(ErrorCode.QubesVolumeNotFoundError, vm.ResizeDiskAsync(VolumeName.Private, 1 << 30, Patience));
    }

    [TestCase("running")]
    [TestCase("concluded")]
    [TestCase("nodes")]
    public async Task What_a_dead_daemon_left_of_a_copy_is_gone_after_adoption(string left)
    {
        var backend = await _host.OpenBackendAsync(Patience);
        var launch = _host.NewLaunch("work");
        var first = await StartAsync(backend, launch);
        using var target = new CopyTarget(_host.Disks, "qcow2", RootBytes);
        // As a daemon that is killed: it says nothing more.
        await using (var dying = await RescueAsync(first))
        {
            var commands = new DiskCommands(dying, QemuTestHost.Patience);
            var names = CopyNames.Of(VolumeName.Root);
            await commands.AddTargetAsync(names, await commands.AddFileAsync(names, target.Image, Patience), target.Image, Patience);
            if (left != "nodes")
            {
                await commands.BackUpAsync(names, left == "running" ? Slow : 0, Patience);
            }
            while (left == "concluded" && (await commands.JobsAsync(Patience)).Single().Status != "concluded")
            {
                await Task.Delay(20, Patience);
            }
        }
        await first.DisposeAsync();
        await using var vm = (await backend.AdoptAsync(QemuTestHost.RecordOf(launch), first.Run, Patience))!;
        await AssertNothingLeftAsync(vm);
        await QemuTestHost.AgentReadyAsync(vm, Patience);
        await using var copy = await vm.BeginCopyAsync(VolumeName.Root, target.Image, null, Patience);
        await copy.Completed.WaitAsync(Patience);
    }

    [Test]
    public async Task The_guest_hardly_feels_a_copy_begin()
    {
        await using var vm = await ReadyAsync();
        using var target = new CopyTarget(_host.Disks, "qcow2", RootBytes);
        // A synchronous write after the other; the clock of the host as the guest has it, in ms.
        await vm.ShellAsync("echo 'while [ ! -e /tmp/stop ]; do dd if=/dev/zero of=/root/w bs=4k count=1 conv=fsync 2>/dev/null; cut -d\" \" -f1 /proc/uptime; done > /tmp/log' > /tmp/w; (sh /tmp/w > /dev/null 2>&1 < /dev/null &) ; usleep 2000000", Patience);
        var quiet = await LongestGapAsync(vm);
        var watch = Stopwatch.StartNew();
        await using var copy = await vm.BeginCopyAsync(VolumeName.Root, target.Image, null, Patience);
        var begun = watch.ElapsedMilliseconds;
        await copy.Completed.WaitAsync(Patience);
        await vm.ShellAsync("usleep 500000; touch /tmp/stop", Patience);
        TestContext.Out.WriteLine($"the copy began in {begun} ms and took {watch.ElapsedMilliseconds} ms; longest gap between two writes in the guest: {quiet} ms before it, {await LongestGapAsync(vm)} ms with it");
        Assert.That(await vm.ShellAsync("wc -l < /tmp/log", Patience), Is.Not.EqualTo("0\n"));
    }

    private async Task<long> LongestGapAsync(IRunningVm vm)
    {
        var times = (await vm.ShellAsync("cat /tmp/log", Patience)).Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => double.Parse(line, CultureInfo.InvariantCulture)).ToList();
        return times.Zip(times.Skip(1), (one, next) => (long)Math.Round((next - one) * 1000)).DefaultIfEmpty().Max();
    }

    private async Task<IRunningVm> ReadyAsync(long bytesPerSecond = 0)
    {
        var backend = await _host.OpenBackendAsync(bytesPerSecond, Patience);
        return await StartAsync(backend, _host.NewLaunch("work"));
    }

    private async Task<IRunningVm> StartAsync(QemuBackend backend, VmLaunch launch)
    {
        var vm = await _host.LaunchAsync(backend, launch, Patience);
        await vm.ContinueAsync(Patience);
        await QemuTestHost.AgentReadyAsync(vm, Patience);
        return vm;
    }

    private Task<QmpConnection> RescueAsync(IRunningVm vm) =>
        QmpConnection.ConnectAsync(Path.Combine(vm.Run.Directory, "rescue"), QemuTestHost.Patience, TimeProvider.System, NullLogger.Instance, Patience);

    private async Task AssertNothingLeftAsync(IRunningVm vm)
    {
        await using var monitor = await RescueAsync(vm);
        var commands = new DiskCommands(monitor, QemuTestHost.Patience);
        Assert.That(await commands.JobsAsync(Patience), Is.Empty);
        Assert.That((await commands.NodesAsync(Patience)).Where(node => node.StartsWith(CopyNames.Prefix, StringComparison.Ordinal)), Is.Empty);
        Assert.That(await commands.FileSetsAsync(CopyNames.Prefix, Patience), Is.Empty);
    }

    private async Task CodeAsync(ErrorCode code, Task work)
    {
        var error = (await Assert.ThrowsAsync<MgmtException>(() => work.WaitAsync(Patience)))!;
        Assert.That(error.Code, Is.EqualTo(code), error.Message);
    }
}
