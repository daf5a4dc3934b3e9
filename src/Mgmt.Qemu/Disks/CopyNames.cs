using Mgmt.Core;

namespace Mgmt.Qemu;

/// <summary>
/// What a copy of a disk makes in QEMU: a job, a node for the target's file, one for its format, and a filter over the disk. All begin with a
/// prefix that nothing else has, so that a later daemon finds what a dead one left.
/// </summary>
internal sealed record CopyNames(string Disk)
{
    public const string Prefix = "mgmt-copy-";

    /// <summary>The job, the node of the target's format, and the mark on the set of descriptors that the target's file is in.</summary>
    public string Job => Prefix + Disk;

    public string File => Job + FileEnd;

    public string Filter => Job + "-filter";

    public const string FileEnd = "-file";

    public static CopyNames Of(VolumeName disk) => new(NodeOf(disk));

    /// <summary>The node that the guest's device of a volume stands on; see <see cref="QemuCommandLine"/>.</summary>
    public static string NodeOf(VolumeName disk) => disk.ToString().ToLowerInvariant();
}
