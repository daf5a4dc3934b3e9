using Mgmt.Core;
using Mgmt.Testing;
using Microsoft.Win32.SafeHandles;
using static Mgmt.TestHost.Tests.Hosts;

namespace Mgmt.TestHost.Tests;

public sealed class DiskTests
{
    private static readonly ImageLayer Target = new(new SafeFileHandle(-1, false), "raw", false);

    private ManualTime _time = null!;

    [SetUp]
    public void SetUp() => _time = new ManualTime();

    private async Task<IRunningVm> WithDiskAsync(string faults = "")
    {
        var host = With(_time, delays: "\"copy\": 1000", faults: faults);
        var vm = await host.Backend.LaunchAsync(Launch() with { Disks = [new OpenVolume(VolumeName.Root, false, 4096, [])] }, None);
        await vm.ContinueAsync(None);
        return vm;
    }

    [Test]
    public async Task A_copy_takes_its_time_and_holds_up_others_of_its_disk()
    {
        var vm = await WithDiskAsync();
        await Refused(ErrorCode.QubesVolumeNotFoundError, vm.BeginCopyAsync(VolumeName.Private, Target, null, None));
        await using var copy = await vm.BeginCopyAsync(VolumeName.Root, Target, null, None);
        await Refused(ErrorCode.MgmtBusyError, vm.BeginCopyAsync(VolumeName.Root, Target, null, None));
        await Refused(ErrorCode.MgmtBusyError, vm.ResizeDiskAsync(VolumeName.Root, 8192, None));
        _time.Advance(500);
        Assert.That(copy.Progress, Is.EqualTo(new CopyProgress(2048, 4096)));
        _time.Advance(500);
        await copy.Completed.WaitAsync(TimeSpan.FromSeconds(10));
        Assert.That(copy.Progress, Is.EqualTo(new CopyProgress(4096, 4096)));
        await vm.ResizeDiskAsync(VolumeName.Root, 8192, None);
        await using var larger = await vm.BeginCopyAsync(VolumeName.Root, Target, null, None);
        Assert.That(larger.Progress.TotalBytes, Is.EqualTo(8192));
    }

    [Test]
    public async Task A_copy_fails_as_the_document_says_when_it_is_cancelled_and_when_the_vm_ends()
    {
        var vm = await WithDiskAsync("\"copy\": \"fails: bad sector\"");
        var failing = await vm.BeginCopyAsync(VolumeName.Root, Target, null, None);
        _time.Advance(1000);
        Assert.That((await Refused(ErrorCode.StoragePoolException, failing.Completed)).Message, Is.EqualTo("bad sector"));
        var cancelled = await vm.BeginCopyAsync(VolumeName.Root, Target, null, None);
        await cancelled.DisposeAsync();
        await Refused(ErrorCode.MgmtCancelledError, cancelled.Completed);
        var orphaned = await vm.BeginCopyAsync(VolumeName.Root, Target, null, None);
        await vm.KillAsync(None);
        await Refused(ErrorCode.MgmtUnavailableError, orphaned.Completed);
        await Refused(ErrorCode.MgmtUnavailableError, vm.BeginCopyAsync(VolumeName.Root, Target, null, None));
    }
}
