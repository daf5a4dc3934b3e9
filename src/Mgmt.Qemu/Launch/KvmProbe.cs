using System.Globalization;

namespace Mgmt.Qemu;

/// <summary>
/// Whether KVM runs guests here. A device node proves nothing, so a few bytes of guest code are run with the CPU model and the
/// uid that guests get. The answer holds for a boot and is kept in <c>RUN_DIR/accelerator</c>.
/// </summary>
internal sealed class KvmProbe(QemuOptions options, Privileges privileges)
{
    private const string Device = "/dev/kvm";
    // What the code below writes to the debug exit device: QEMU ends with twice that plus one.
    private const byte Token = 0x31;
    private const int Expected = (Token << 1) | 1;

    /// <summary>The group that may use KVM, when the device says so by its mode; else null.</summary>
    public static int? Group()
    {
        try
        {
            // udev gives the device to the group kvm, on every distribution with udev rules from systemd.
            return File.GetUnixFileMode(Device).HasFlag(UnixFileMode.GroupRead | UnixFileMode.GroupWrite) ? KvmGroupFromEtc() : null;
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>The accelerator for this host, remembered or found out now.</summary>
    public async Task<QemuHost> RunAsync(CancellationToken cancellation)
    {
        if (WhyNotTried() is { } reason)
        {
            return QemuHost.Tcg(reason);
        }
        if (Recall() is { } known)
        {
            return known;
        }
        var host = await TryAsync(cancellation);
        File.WriteAllLines(MemoryFile, [ProcessStat.BootId, Key, host.Accelerator, host.Reason]);
        return host;
    }

    private string MemoryFile => Path.Combine(options.RunDirectory, "accelerator");

    private string Key => $"{options.QemuBinary} {QemuHost.KvmCpuModel} {privileges.Drop}";

    private static string? WhyNotTried()
    {
        if (!File.Exists(Device))
        {
            return "there is no /dev/kvm";
        }
        var flags = File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("flags", StringComparison.Ordinal))?.Split(' ') ?? [];
        return flags.Contains("vmx") || flags.Contains("svm") ? null : "/dev/kvm is there, but the processor shows neither vmx nor svm";
    }

    private QemuHost? Recall()
    {
        try
        {
            var lines = File.ReadAllLines(MemoryFile);
            return lines is [var boot, var key, var accelerator, var reason] && boot == ProcessStat.BootId && key == Key
                ? accelerator == "kvm" ? QemuHost.Kvm(reason) : QemuHost.Tcg(reason)
                : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private async Task<QemuHost> TryAsync(CancellationToken cancellation)
    {
        var result = await RunCodeAsync("kvm", QemuHost.KvmCpuModel, cancellation);
        return result switch
        {
            { ExitCode: Expected } => QemuHost.Kvm("guest code ran under KVM"),
            null => QemuHost.Tcg("guest code did not finish under KVM"),
            _ => QemuHost.Tcg(string.Create(CultureInfo.InvariantCulture, $"guest code failed under KVM (exit {result.ExitCode})")),
        };
    }

    /// <summary>Runs a boot sector that writes a byte to the debug exit port. Null: not in time.</summary>
    internal async Task<ShortRunResult?> RunCodeAsync(string accelerator, string cpuModel, CancellationToken cancellation)
    {
        // mov dx, 0xf4; mov al, Token; out dx, al; hang: hlt; jmp hang
        byte[] code = [0xBA, 0xF4, 0x00, 0xB0, Token, 0xEE, 0xF4, 0xEB, 0xFD];
        // The firmware boots no disk of a single sector.
        var sector = new byte[1 << 20];
        code.CopyTo(sector, 0);
        sector[510] = 0x55;
        sector[511] = 0xAA;
        var directory = Directory.CreateTempSubdirectory("mgmt-probe-");
        try
        {
            var image = Path.Combine(directory.FullName, "boot");
            await File.WriteAllBytesAsync(image, sector, cancellation);
            // It holds no secret, and another uid must get at it.
            const UnixFileMode Search = UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
            File.SetUnixFileMode(directory.FullName, File.GetUnixFileMode(directory.FullName) | Search);
            File.SetUnixFileMode(image, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
            return await ShortRun.RunAsync(
            [
                .. privileges.Prefix(0), options.QemuBinary, "-machine", "q35", "-accel", accelerator, "-cpu", cpuModel, "-m", "16",
                "-nodefaults", "-no-user-config", "-display", "none", "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
                "-blockdev", $"driver=file,filename={image},node-name=boot,read-only=on", "-device", "virtio-blk-pci,drive=boot,bootindex=1",
            ], options.ProbeTimeout, cancellation);
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    private static int? KvmGroupFromEtc()
    {
        var line = File.ReadLines("/etc/group").FirstOrDefault(entry => entry.StartsWith("kvm:", StringComparison.Ordinal));
        return line is not null && int.TryParse(line.Split(':')[2], CultureInfo.InvariantCulture, out var group) ? group : null;
    }
}
