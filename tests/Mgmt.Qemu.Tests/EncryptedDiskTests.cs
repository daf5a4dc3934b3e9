using System.Diagnostics;
using System.Text;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Qemu.Tests;

/// <summary>A disk with a key that is thrown away, written by a real guest in the real QEMU, with its own uid and sandbox.</summary>
[Category("integration")]
public sealed class EncryptedDiskTests
{
    private const long DiskBytes = 4 << 20;
    private const string Pattern = "what-the-guest-wrote";
    private const string FindDisk = "for b in /sys/block/vd*; do [ \"$(cat $b/serial)\" = volatile ] && d=/dev/${b##*/}; done; ";

    private QemuTestHost _host;
    private CancellationTokenSource _patience;

    private CancellationToken Patience => _patience.Token;

    private string ImageFile => Path.Combine(_host.Disks, "volatile.luks");

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

    [Test]
    public async Task What_the_guest_writes_is_not_in_the_file_and_QEMU_forgets_the_passphrase()
    {
        var backend = await _host.OpenBackendAsync(Patience);
        using var key = VolumeKey.Create();
        var text = Encoding.ASCII.GetString(key.Text.Span);
        var launch = await LaunchOfAsync(key);
        await using var vm = await _host.LaunchAsync(backend, launch, Patience);
        Assert.That(() => launch.Disks[^1].Key!.Text, Throws.TypeOf<ObjectDisposedException>(), "what was launched is closed");
        await vm.ContinueAsync(Patience);
        await QemuTestHost.AgentReadyAsync(vm, Patience);
        await vm.ShellAsync($"{FindDisk} yes {Pattern} | head -c 1048576 > $d; sync; echo 3 > /proc/sys/vm/drop_caches; head -c 1048576 $d | grep -c {Pattern}", Patience);
        AssertNotInFile(Pattern);
        AssertNotInFile(text);
        foreach (var file in new[] { "cmdline", "environ" })
        {
            Assert.That(await File.ReadAllTextAsync($"/proc/{vm.Run.Pid}/{file}", Patience), Does.Not.Contain(text), file);
        }
        Assert.That(KeyFilesOf(vm.Run.Pid), Has.Count.EqualTo(1).And.All.Empty, "the file in memory that QEMU still has open");
        Assert.That(Directory.EnumerateFiles(_host.RunDirectory, "*", SearchOption.AllDirectories).Where(file => IsNoSocket(file) && File.ReadAllText(file).Contains(text, StringComparison.Ordinal)), Is.Empty);
    }

    [Test]
    public async Task It_is_adopted_read_and_grown_without_the_key()
    {
        var backend = await _host.OpenBackendAsync(Patience);
        using var key = VolumeKey.Create();
        var launch = await LaunchOfAsync(key);
        var first = await _host.LaunchAsync(backend, launch, Patience);
        await first.ContinueAsync(Patience);
        await QemuTestHost.AgentReadyAsync(first, Patience);
        await first.ShellAsync($"{FindDisk} echo {Pattern} > $d; sync", Patience);
        await first.DisposeAsync();
        var second = await _host.OpenBackendAsync(Patience);
        await using var vm = (await second.AdoptAsync(QemuTestHost.RecordOf(launch), first.Run, Patience))!;
        await QemuTestHost.AgentReadyAsync(vm, Patience);
        await vm.ResizeDiskAsync(VolumeName.Volatile, 2 * DiskBytes, Patience);
        var read = await vm.ShellAsync($"{FindDisk} echo 3 > /proc/sys/vm/drop_caches; head -n 1 $d; cat /sys/block/${{d##*/}}/size; echo {Pattern} | dd of=$d bs=512 seek={(2 * DiskBytes / 512) - 1} 2>/dev/null && sync", Patience);
        Assert.That(read, Is.EqualTo($"{Pattern}\n{2 * DiskBytes / 512}\n"));
        AssertNotInFile(Pattern);
    }

    [Test]
    public async Task A_wrong_key_starts_nothing_and_is_told_to_nobody()
    {
        var backend = await _host.OpenBackendAsync(Patience);
        using var right = VolumeKey.Create();
        using var wrong = VolumeKey.Create();
        var text = Encoding.ASCII.GetString(wrong.Text.Span);
        var launch = await LaunchOfAsync(right);
        launch = launch with { Disks = [launch.Disks[0], launch.Disks[1] with { Key = wrong }] };
        var error = (await Assert.ThrowsAsync<MgmtException>(() => backend.LaunchAsync(launch, Patience)))!;
        Assert.That(error.Code, Is.EqualTo(ErrorCode.QubesException));
        Assert.That(error.ToString(), Does.Contain("Invalid password").And.Not.Contain(text));
        Assert.That(Directory.EnumerateFileSystemEntries(Path.Combine(_host.RunDirectory, "vm")), Is.Empty);
    }

    /// <summary>A launch with an encrypted disk as a pool makes it.</summary>
    private async Task<VmLaunch> LaunchOfAsync(VolumeKey key)
    {
        var launch = _host.NewLaunch("secret");
        // qemu-img fails where processor time is accounted coarsely.
        while (!await MadeAsync(key))
        {
            Patience.ThrowIfCancellationRequested();
        }
        File.SetUnixFileMode(ImageFile, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        var image = File.OpenHandle(ImageFile, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        return launch with { Disks = [.. launch.Disks, new OpenVolume(VolumeName.Volatile, false, DiskBytes, [new ImageLayer(image, "luks", false)]) { Key = key }] };
    }

    private async Task<bool> MadeAsync(VolumeKey key)
    {
        var start = new ProcessStartInfo("qemu-img", [
            "create", "-q", "-f", "luks", "--object", "secret,id=key,file=/proc/self/fd/0", "-o", "key-secret=key,iter-time=10,hash-alg=sha512", ImageFile, $"{DiskBytes}"])
        {
            RedirectStandardInput = true, RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        await process.StandardInput.BaseStream.WriteAsync(key.Text, Patience);
        process.StandardInput.Close();
        var said = await process.StandardError.ReadToEndAsync(Patience);
        await process.WaitForExitAsync(Patience);
        Assert.That(process.ExitCode == 0 || said.Contains("accurate CPU usage", StringComparison.Ordinal), Is.True, said);
        return process.ExitCode == 0;
    }

    private void AssertNotInFile(string text) => Assert.That(File.ReadAllBytes(ImageFile).AsSpan().IndexOf(Encoding.ASCII.GetBytes(text)), Is.Negative, text);

    private static bool IsNoSocket(string file) => Path.GetFileName(file).TrimEnd("0123456789".ToCharArray()) is not ("qmp" or "rescue" or "agent" or "port" or "exec");

    /// <summary>What the files in memory hold that were made for keys.</summary>
    private static List<string> KeyFilesOf(int pid) =>
        [.. Directory.EnumerateFiles($"/proc/{pid}/fd").Where(file => new FileInfo(file).LinkTarget?.Contains("memfd:vm-key", StringComparison.Ordinal) == true).Select(File.ReadAllText)];
}
