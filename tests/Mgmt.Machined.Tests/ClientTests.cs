using System.Globalization;
using Mgmt.Core;
using Mgmt.Testing;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Machined.Tests;

/// <summary>The methods of the typed client that the calls of the API do not use, and the same methods at a machine's own object, on the real systemd-machined.</summary>
[CancelAfter(60_000)]
public sealed class ClientTests
{
    // --keep-unit fails without a real systemd; the busybox needs nothing but itself.
    private const string SmallContainer = """
        r=/var/lib/machines/small; mkdir -p $r/bin $r/etc $r/usr $r/proc $r/dev $r/sys $r/tmp; cp "$(command -v busybox)" $r/bin/busybox; echo ID=small > $r/etc/os-release
        systemd-run --user -q -p Delegate=yes -E DBUS_SYSTEM_BUS_ADDRESS="$DBUS_SYSTEM_BUS_ADDRESS" systemd-nspawn -q -M small -D $r --private-users=131072:65536 --private-users-ownership=chown /bin/busybox sleep 1000
        """;

    private MachinedHost _host;
    private RegistryUnderTest _registry;
    private string _directory;

    private MachinedClient Client => _registry.Registry.Client;

    [SetUp]
    public async Task Start()
    {
        _host = await MachinedHost.StartAsync(CancellationToken.None);
        _registry = await RegistryUnderTest.ReadyAsync(_host.BusAddress);
        _directory = Directory.CreateTempSubdirectory("mgmt-client-").FullName;
    }

    [TearDown]
    public async Task Stop()
    {
        if (_registry is not null)
        {
            await _registry.DisposeAsync();
        }
        if (_host is not null)
        {
            await _host.DisposeAsync();
        }
        if (_directory is not null)
        {
            Directory.Delete(_directory, recursive: true);
        }
    }

    [Test]
    public async Task A_container_is_worked_on_by_name_and_at_its_object(CancellationToken token)
    {
        await _host.MakeContainerAsync("web", token);
        await _registry.Registry.Machines.StartAsync(HostMachineName.Parse("web"), token);
        var path = await Client.GetMachineAsync("web", token);
        Assert.That(path, Is.EqualTo("/org/freedesktop/machine1/machine/web"));
        var read = await Client.PropertiesAsync(path, token);
        Assert.That(await Client.GetMachineByPidAsync(read.Leader, token), Is.EqualTo(path));
        foreach (var (machine, number) in new[] { (MachineTarget.Named("web"), 1), (MachineTarget.At(path), 2) })
        {
            await LookInsideAsync(machine, token);
            await MountAndCopyAsync(machine, number, token);
        }
        await Client.KillAsync(MachineTarget.At(path), all: true, signal: 18, token);
        await Client.TerminateAsync(MachineTarget.At(path), token);
        while ((await Client.ListAsync(token)).Any(machine => machine.Name == "web"))
        {
            token.ThrowIfCancellationRequested();
        }
        Assert.That(await CodeOf(() => Client.UidShiftAsync(MachineTarget.At(path), token)), Is.EqualTo(ErrorCode.QubesException), "an object that is gone");
    }

    [Test]
    public async Task Users_and_groups_of_a_container_are_mapped_both_ways(CancellationToken token)
    {
        await ShellAsync(SmallContainer, token);
        while ((await Client.ListAsync(token)).All(machine => machine.Name != "small"))
        {
            token.ThrowIfCancellationRequested();
        }
        var small = MachineTarget.Named("small");
        Assert.That(await Client.UidShiftAsync(small, token), Is.EqualTo(131072));
        foreach (var group in new[] { false, true })
        {
            Assert.That(await Client.MapFromMachineAsync("small", group, 5, token), Is.EqualTo(131077));
            Assert.That(await Client.MapToMachineAsync(group, 131077, token), Is.EqualTo(new MappedId("small", "/org/freedesktop/machine1/machine/small", 5)));
            Assert.That(await CodeOf(() => Client.MapToMachineAsync(group, 5, token)), Is.EqualTo(ErrorCode.QubesException), "the host's own");
            Assert.That(await CodeOf(() => Client.MapFromMachineAsync("small", group, 70_000, token)), Is.EqualTo(ErrorCode.QubesException), "not among its own");
        }
        var refusal = await Assert.ThrowsAsync<MgmtException>(() => Client.BindMountAsync(small, _directory, "/tmp/bound", readOnly: true, makeDirectory: true, token));
        Assert.That(refusal!.Message, Does.Contain("user namespacing"), "machined moves no mount into a container with users of its own");
    }

    [Test]
    public async Task A_process_in_a_unit_is_registered_and_unregistered_and_lives_on(CancellationToken token)
    {
        await ShellAsync("systemd-run --user -q --unit=plain sleep 600", token);
        var pid = uint.Parse(await ShellAsync("systemctl --user show -P MainPID plain", token), CultureInfo.InvariantCulture);
        var (uuid, machine) = (Guid.NewGuid(), MachineTarget.Named("reg"));
        var path = await Client.RegisterAsync(new MachineRegistration("reg", uuid, "test", "vm", pid, "/srv", [1]), token);
        var read = await Client.PropertiesAsync(path, token);
        Assert.That((read.Name, read.Id, read.Service, read.Class, read.Unit, read.Leader, read.RootDirectory), Is.EqualTo(("reg", (Guid?)uuid, "test", "vm", "plain.service", pid, "/srv")));
        Assert.That(read.NetworkInterfaces, Is.EqualTo(new[] { 1 }));
        Assert.That(await CodeOf(() => Client.AddressesAsync(machine, token)), Is.EqualTo(ErrorCode.MgmtUnsupportedError), "of containers only");
        Assert.That(await CodeOf(() => Client.RegisterAsync(new MachineRegistration("reg", null, "test", "vm", pid, "", []), token)), Is.EqualTo(ErrorCode.QubesException), "taken");
        await Client.UnregisterAsync("reg", token);
        Assert.That(await CodeOf(() => Client.GetMachineAsync("reg", token)), Is.EqualTo(ErrorCode.QubesException));
        Assert.That(await CodeOf(() => Client.GetMachineByPidAsync(pid, token)), Is.EqualTo(ErrorCode.QubesException));
        Assert.That(Directory.Exists($"/proc/{pid}"), Is.True);
    }

    [Test]
    public async Task What_an_image_says_of_itself_is_read(CancellationToken token)
    {
        await _host.MakeContainerAsync("web", token);
        await ShellAsync("echo 0123456789abcdef0123456789abcdef > /var/lib/machines/web/etc/machine-id; echo DEPLOYMENT=test > /var/lib/machines/web/etc/machine-info; mkdir -p /var/lib/machines/bare/usr", token);
        Assert.That(await Client.ImageHostnameAsync("web", token), Is.EqualTo("web"));
        Assert.That(await Client.ImageMachineIdAsync("web", token), Is.EqualTo(Guid.Parse("0123456789abcdef0123456789abcdef")));
        Assert.That(await Client.ImageMachineInfoAsync("web", token), Is.EquivalentTo(new Dictionary<string, string> { ["DEPLOYMENT"] = "test" }));
        Assert.That((await Client.ImageOSReleaseAsync("web", token))["PRETTY_NAME"], Is.EqualTo("Test container"));
        Assert.That(await Client.ImageHostnameAsync("bare", token), Is.Empty);
        Assert.That(await Client.ImageMachineIdAsync("bare", token), Is.Null);
        Assert.That(await Client.ImageOSReleaseAsync("bare", token), Is.Empty);
        Assert.That(await CodeOf(() => Client.ImageHostnameAsync("none", token)), Is.EqualTo(ErrorCode.QubesVolumeNotFoundError));
        await _registry.Registry.Machines.StartAsync(HostMachineName.Parse("web"), token);
        Assert.That((await Assert.ThrowsAsync<MgmtException>(() => Client.ImageHostnameAsync("web", token)))!.Message, Does.Contain("busy"), "an image whose container runs is not looked into");
    }

    [Test]
    public async Task A_pool_is_cleaned_and_on_btrfs_limited(CancellationToken token)
    {
        await ShellAsync("mkdir /var/lib/machines/.old /var/lib/machines/kept", token);
        Assert.That(await Client.CleanPoolAsync(all: false, token), Is.EqualTo(new[] { (".old", ulong.MaxValue) }), "of a directory it does not know what it took");
        Assert.That(await ShellAsync("ls /var/lib/machines", token), Is.EqualTo("kept\n"));
        if ((await ShellAsync("command -v mkfs.btrfs && losetup -f || true", token)).Length == 0)
        {
            Requirement.Missing("mkfs.btrfs and a loop device");
        }
        var disk = Path.Combine(_directory, "pool");
        await ShellAsync($"truncate -s 300M {disk}; mkfs.btrfs -q {disk}; mount -o loop {disk} /var/lib/machines; btrfs -q subvolume create /var/lib/machines/sub; btrfs -q subvolume create /var/lib/machines/.old", token);
        try
        {
            var images = _registry.Registry.Images;
            Assert.That(await CodeOf(() => images.SetLimitAsync("sub", 10_000_000, token)), Is.EqualTo(ErrorCode.StoragePoolException), "not before the pool counts");
            await images.SetPoolLimitAsync(100_000_000, token);
            await images.SetLimitAsync("sub", 10_000_000, token);
            Assert.That((await images.ListAsync(token)).LimitBytes, Is.EqualTo(100_000_000));
            // machined remembers what it knew of an image before for a moment.
            while ((await images.GetAsync("sub", token)).LimitBytes != 10_000_000)
            {
                token.ThrowIfCancellationRequested();
            }
            Assert.That((await Client.CleanPoolAsync(all: false, token)).Select(gone => gone.Image), Is.EqualTo(new[] { ".old" }));
            Assert.That((await Client.CleanPoolAsync(all: true, token)).Select(gone => gone.Image), Is.EqualTo(new[] { "sub" }));
        }
        finally
        {
            await ShellAsync("umount -l /var/lib/machines", CancellationToken.None);
        }
    }

    private async Task LookInsideAsync(MachineTarget machine, CancellationToken token)
    {
        Assert.That((await Client.OSReleaseAsync(machine, token))["ID"], Is.EqualTo("test"));
        Assert.That(await Client.UidShiftAsync(machine, token), Is.Zero);
        Assert.That(await Client.MapFromMachineAsync("web", group: false, 5, token), Is.EqualTo(5), "its users are the host's");
        await Client.AddressesAsync(machine, token);
        using (var root = await Client.OpenRootDirectoryAsync(machine, token))
        {
            Assert.That(await File.ReadAllTextAsync(Below(root, "etc/hostname"), token), Is.EqualTo("web\n"));
        }
        using var terminal = await Client.OpenPtyAsync(machine, token);
        using var login = await Client.OpenLoginAsync(machine, token);
        using var shell = await Client.OpenShellAsync(machine, new MachineProgram("root", "/bin/true", [], []), token);
        Assert.That(new[] { terminal.Path, login.Path, shell.Path }, Is.Unique.And.All.StartsWith("/dev/pts/"));
    }

    private async Task MountAndCopyAsync(MachineTarget machine, int number, CancellationToken token)
    {
        var (source, back) = (Path.Combine(_directory, $"in{number}"), Path.Combine(_directory, $"out{number}"));
        Directory.CreateDirectory(source);
        await File.WriteAllTextAsync(Path.Combine(source, "f"), "bound", token);
        await Client.BindMountAsync(machine, source, $"/mnt/bound{number}", readOnly: true, makeDirectory: true, token);
        using var root = await Client.OpenRootDirectoryAsync(machine, token);
        Assert.That(await File.ReadAllTextAsync(Below(root, $"mnt/bound{number}/f"), token), Is.EqualTo("bound"));
        var file = Path.Combine(source, "f");
        await Client.CopyToAsync(machine, file, $"/srv/f{number}", token);
        await File.WriteAllTextAsync(file, "newer", token);
        Assert.That(await CodeOf(() => Client.CopyToAsync(machine, file, $"/srv/f{number}", token)), Is.EqualTo(ErrorCode.QubesException), "it is there already");
        await Client.CopyToReplacingAsync(machine, file, $"/srv/f{number}", token);
        await Client.CopyFromAsync(machine, $"/srv/f{number}", back, token);
        Assert.That(await File.ReadAllTextAsync(back, token), Is.EqualTo("newer"));
        await File.WriteAllTextAsync(back, "old", token);
        await Client.CopyFromReplacingAsync(machine, $"/srv/f{number}", back, token);
        Assert.That(await File.ReadAllTextAsync(back, token), Is.EqualTo("newer"));
    }

    private static string Below(SafeFileHandle directory, string path) => $"/proc/self/fd/{directory.DangerousGetHandle()}/{path}";

    private Task<string> ShellAsync(string script, CancellationToken token) => _host.RunAsync(["sh", "-ec", script], token);

    private static async Task<ErrorCode> CodeOf(Func<Task> act) => (await Assert.ThrowsAsync<MgmtException>(act))!.Code;
}
