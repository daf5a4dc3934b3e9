namespace Mgmt.Devices;

/// <summary>Which block devices the host uses: mounted, swapped to, part of something (LVM, RAID, dm-crypt, btrfs). Names as in sysfs.</summary>
internal sealed class HostUse
{
    private readonly string _sys;
    private readonly HashSet<string> _numbers = new(StringComparer.Ordinal);
    private readonly HashSet<string> _names = new(StringComparer.Ordinal);

    private HostUse(string sys) => _sys = sys;

    internal static HostUse Read(HostDeviceOptions options)
    {
        var use = new HostUse(options.SysRoot);
        // Services may have mounts that we do not see, and init those that they began with.
        foreach (var process in new[] { "self", "1" })
        {
            use.AddMounts(SysTree.Lines(Path.Combine(options.ProcRoot, process, "mountinfo")), options.DevRoot);
        }
        foreach (var line in SysTree.Lines(Path.Combine(options.ProcRoot, "swaps")).Skip(1))
        {
            use.AddPath(line.Split(' ', '\t')[0], options.DevRoot);
        }
        foreach (var fileSystem in SysTree.Names(Path.Combine(options.SysRoot, "fs", "btrfs")))
        {
            use._names.UnionWith(SysTree.Names(Path.Combine(options.SysRoot, "fs", "btrfs", fileSystem, "devices")));
        }
        return use;
    }

    /// <summary>Whether the host uses a disk or partition itself; its directory in sysfs tells its number and who stands on it.</summary>
    internal bool Has(string name, string directory) =>
        _names.Contains(name) || _numbers.Contains(SysTree.Text(directory, "dev")) || SysTree.Names(Path.Combine(directory, "holders")).Count > 0;

    /// <summary>Whether it uses a disk or any of its partitions.</summary>
    internal bool HasAnyOf(string disk)
    {
        var directory = Path.Combine(_sys, "block", disk);
        return Has(disk, directory) || Partitions(directory).Any(name => Has(name, Path.Combine(directory, name)));
    }

    internal static IEnumerable<string> Partitions(string directory) => SysTree.Names(directory).Where(name => File.Exists(Path.Combine(directory, name, "partition")));

    // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue. SOURCE: proc(5).
    private void AddMounts(IEnumerable<string> lines, string dev)
    {
        foreach (var line in lines)
        {
            var words = line.Split(' ');
            var dash = Array.IndexOf(words, "-");
            if (words.Length > 2)
            {
                _numbers.Add(words[2]);
            }
            if (dash > 0 && dash + 2 < words.Length)
            {
                AddPath(words[dash + 2], dev);
            }
        }
    }

    private void AddPath(string path, string dev)
    {
        if (!path.StartsWith("/dev/", StringComparison.Ordinal))
        {
            return;
        }
        _names.Add(Path.GetFileName(path));
        // A name such as /dev/disk/by-uuid/… or /dev/mapper/… is a link.
        var ours = Path.Combine(dev, path["/dev/".Length..]);
        if (SysTree.LinkName(ours) is { } target)
        {
            _names.Add(target);
        }
    }
}
