namespace Mgmt.Core;

/// <summary>Of guest-fsfreeze-freeze-list: all file systems when not said; mount points that there are not are ignored.</summary>
public sealed record GuestFreezeListArguments(IReadOnlyList<string>? Mountpoints = null);

/// <summary>Of guest-fstrim: free ranges shorter than so many bytes may be left.</summary>
public sealed record GuestTrimArguments(long? Minimum = null);

/// <summary>What came of one file system.</summary>
public sealed record GuestTrimmedPath(string Path, string? Error = null, long? Trimmed = null, long? Minimum = null);

/// <summary>Of guest-fstrim.</summary>
public sealed record GuestTrim(IReadOnlyList<GuestTrimmedPath> Paths);

/// <summary>Where a controller is; -1 for what is not known.</summary>
public sealed record GuestPciAddress(long Domain, long Bus, long Slot, long Function);

/// <summary>The same on s390x.</summary>
public sealed record GuestCcwAddress(long Cssid, long Ssid, long Subchno, long Devno);

/// <summary>Where a disk is. The bus is one of ide, fdc, scsi, virtio, xen, usb, uml, sata, sd, and so on.</summary>
public sealed record GuestDiskAddress(
    GuestPciAddress PciController, string BusType, long Bus, long Target, long Unit, string? Serial = null, string? Dev = null, GuestCcwAddress? CcwAddress = null);

/// <summary>Of guest-get-fsinfo: a file system that is mounted.</summary>
public sealed record GuestFilesystemInfo(string Name, string Mountpoint, string Type, IReadOnlyList<GuestDiskAddress> Disk, long? UsedBytes = null, long? TotalBytes = null);

/// <summary>Of guest-get-disks.</summary>
public sealed record GuestDiskInfo(string Name, bool Partition, IReadOnlyList<string>? Dependencies = null, GuestDiskAddress? Address = null, string? Alias = null);

/// <summary>Counters of a disk since the guest started; ticks are milliseconds.</summary>
public sealed record GuestDiskStats(
    long? ReadSectors = null, long? ReadIos = null, long? ReadMerges = null, long? WriteSectors = null, long? WriteIos = null, long? WriteMerges = null,
    long? DiscardSectors = null, long? DiscardIos = null, long? DiscardMerges = null, long? FlushIos = null, long? ReadTicks = null, long? WriteTicks = null,
    long? DiscardTicks = null, long? FlushTicks = null, long? IosPgr = null, long? TotalTicks = null, long? WeightTicks = null);

/// <summary>Of guest-get-diskstats. SOURCE: QEMU 7.1, qga/qapi-schema.json.</summary>
public sealed record GuestDiskStatsInfo(string Name, long Major, long Minor, GuestDiskStats Stats);
