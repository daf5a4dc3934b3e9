using System.Globalization;
using System.Runtime.InteropServices;
using Mgmt.Core;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Devices;

/// <summary>
/// Files in the directories of exported-files as disks of dom0, the port is <c>file-NAME</c>: no kernel name begins so. Only regular files right in a directory,
/// never through a link. Of two of one name that in the earlier directory counts.
/// </summary>
internal sealed class ExportedFiles(HostDeviceOptions options) : IHostClass
{
    private const string Prefix = "file-";
    private const int SectorBytes = 512;

    /// <inheritdoc/>
    public IEnumerable<DeviceInfo> List()
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var path in options.ExportedFiles)
        {
            using var directory = OpenDirectory(path);
            if (directory.IsInvalid)
            {
                continue;
            }
            foreach (var name in SysTree.Names(path).Where(name => DeviceAddress.IsPort(Prefix + name)))
            {
                using var file = Libc.OpenAt(directory, name, Libc.O_PATH | Libc.O_NOFOLLOW | Libc.O_CLOEXEC, 0);
                if (!file.IsInvalid && FileStat.Of(file) is { IsFile: true, LengthBytes: > 0 and var size } && seen.Add(name))
                {
                    yield return Describe(name, size);
                }
            }
        }
    }

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        foreach (var path in options.ExportedFiles)
        {
            using var directory = OpenDirectory(path);
            if (directory.IsInvalid)
            {
                yield return $"directory {path} of exported-files cannot be listed: {Marshal.GetLastPInvokeErrorMessage()}";
            }
        }
    }

    /// <inheritdoc/>
    public OpenDevice? Open(DeviceInfo device, bool readOnly)
    {
        var port = device.Address.Port;
        if (device.Address.Class != DeviceClass.Block || !port.StartsWith(Prefix, StringComparison.Ordinal))
        {
            return null;
        }
        foreach (var path in options.ExportedFiles)
        {
            using var directory = OpenDirectory(path);
            if (!directory.IsInvalid && TryOpen(directory, port[Prefix.Length..], readOnly) is { } file)
            {
                return new OpenDevice.Disk([new(file, "raw", readOnly)], readOnly);
            }
        }
        throw new MgmtException(ErrorCode.QubesException, "%s is not there any more", port);
    }

    private static SafeFileHandle? TryOpen(SafeFileHandle directory, string name, bool readOnly)
    {
        var file = Libc.OpenAt(directory, name, (readOnly ? Libc.O_RDONLY : Libc.O_RDWR) | Libc.O_NOFOLLOW | Libc.O_NONBLOCK | Libc.O_CLOEXEC, 0);
        if (file.IsInvalid)
        {
            return Marshal.GetLastPInvokeError() is Libc.ENOENT or Libc.ELOOP
                ? null
                : throw new MgmtException(ErrorCode.MgmtUnavailableError, "%s cannot be opened: %s", Prefix + name, Marshal.GetLastPInvokeErrorMessage());
        }
        var stat = FileStat.Of(file);
        if (stat.IsFile && (readOnly || stat.LengthBytes % SectorBytes == 0))
        {
            return file;
        }
        file.Dispose();
        throw new MgmtException(ErrorCode.QubesException, "%s is no regular file, or not a multiple of 512 bytes, which only reading can do with", Prefix + name);
    }

    private static SafeFileHandle OpenDirectory(string path) => Libc.Open(path, Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC, 0);

    private static DeviceInfo Describe(string name, long size) => new(DeviceAddress.Of(DeviceClass.Block, VmName.Dom0, Prefix + name))
    {
        Description = "file " + name, CanBeShared = true,
        Facts = VmRecord.Empty.Add("size", size.ToString(CultureInfo.InvariantCulture)).Add("mode", "w"),
    };
}
