using System.Globalization;
using Mgmt.Core;

namespace Mgmt.Storage;

/// <summary>
/// The logical volumes of a volume: its vid with every <c>/</c> as <c>+</c> (no vid has one), alone or with an ending:
/// <c>-snap</c> what a run writes, <c>-tmp</c> what is being made, <c>-old</c> what is to go, <c>-revID</c> a revision.
/// </summary>
internal sealed record LvmNames(string Content)
{
    private const string RunEnd = "-snap", NewEnd = "-tmp", OldEnd = "-old", RevisionEnd = "-rev";
    // 127 for the name of the mapped device, in which VG and LV names stand with every hyphen doubled.
    private const int LongestName = 100;

    // SOURCE: lvm(8), "VALID NAMES".
    private static readonly string[] _reserved =
        ["_cdata", "_cmeta", "_corig", "_cpool", "_cvol", "_imeta", "_iorig", "_mimage", "_mlog", "_pmspare", "_rimage", "_rmeta", "_tdata", "_tmeta", "_vdata", "_vorigin", "_wcorig"];

    internal string Run => Content + RunEnd;

    internal string New => Content + NewEnd;

    internal string Old => Content + OldEnd;

    internal string Revision(RevisionId id) => Content + RevisionEnd + id.Value;

    /// <summary>The names of a volume. ERRORS: StoragePoolException for ids that lvm2 has no names for, or that would be another volume's.</summary>
    internal static LvmNames Of(Vid vid)
    {
        var name = vid.Value.Replace('/', '+');
        var fits = name.Length is > 0 and <= LongestName && name[0] is not ('-' or '.')
            && !name.StartsWith("snapshot", StringComparison.Ordinal) && !name.StartsWith("pvmove", StringComparison.Ordinal)
            && !_reserved.Any(part => name.Contains(part, StringComparison.Ordinal));
        return fits && Split(name).Role == LvmRole.Content
            ? new LvmNames(name)
            : throw new MgmtException(ErrorCode.StoragePoolException, "This pool cannot hold a volume of that id: '%s'", vid.Value);
    }

    /// <summary>What a logical volume is to which volume; null for names that are none of ours.</summary>
    internal static LvmPart? Owner(string name)
    {
        var (stem, role, revision) = Split(name);
        try
        {
            var vid = Vid.Parse(stem.Replace('+', '/'));
            return Of(vid).Content == stem ? new LvmPart(vid, role, revision) : null;
        }
        catch (MgmtException)
        {
            return null;
        }
    }

    private static (string Stem, LvmRole Role, RevisionId? Revision) Split(string name)
    {
        foreach (var (end, role) in (ReadOnlySpan<(string, LvmRole)>)[(RunEnd, LvmRole.Run), (NewEnd, LvmRole.New), (OldEnd, LvmRole.Old)])
        {
            if (name.EndsWith(end, StringComparison.Ordinal))
            {
                return (name[..^end.Length], role, null);
            }
        }
        var at = name.LastIndexOf(RevisionEnd, StringComparison.Ordinal);
        return at > 0 && ulong.TryParse(name.AsSpan(at + RevisionEnd.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var id) && id > 0
            ? (name[..at], LvmRole.Revision, RevisionId.Parse(id.ToString(CultureInfo.InvariantCulture)))
            : (name, LvmRole.Content, null);
    }
}

/// <summary>What a logical volume is to a volume.</summary>
internal enum LvmRole
{
    Content,
    Run,
    New,
    Old,
    Revision,
}

/// <summary>A logical volume's place.</summary>
internal sealed record LvmPart(Vid Vid, LvmRole Role, RevisionId? Revision);
