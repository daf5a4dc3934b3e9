using System.Globalization;
using System.Text;
using Mgmt.Core;

namespace Mgmt.Storage;

/// <summary>A revision: a file whose name says all there is to know about it.</summary>
/// <remarks>
/// GRAMMAR: NAME <c>.rev-</c> ID <c>@</c> UNIXMS <c>.</c> (<c>stop|snapshot|revert|import</c>) <c>.</c> (<c>yes|no|timed-out</c>) <c>.</c> (<c>pinned|kept</c>)
/// <c>.n</c> HEX SUFFIX; NAME is the volume's last component, ID a decimal number from 1, HEX the UTF-8 bytes of the caller's name for it. No volume id has an <c>@</c>.
/// </remarks>
internal sealed record RevisionFile(string File, long Number, DateTimeOffset Created, RevisionTraits Traits)
{
    internal const string Mark = ".rev-";
    private const int NameLimit = 64;

    internal RevisionId Id { get; } = RevisionId.Parse(Number.ToString(CultureInfo.InvariantCulture));

    /// <summary>The name of the file of a new revision. ERRORS: QubesValueError for too long a name.</summary>
    internal static string NameOf(VolumeFiles files, long number, DateTimeOffset created, RevisionTraits traits)
    {
        var name = Encoding.UTF8.GetBytes(traits.Name ?? "");
        if (name.Length > NameLimit)
        {
            throw new MgmtException(ErrorCode.QubesValueError, "The name of a snapshot has more than %s bytes", $"{NameLimit}");
        }
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{files.Stem}{Mark}{number}@{created.ToUnixTimeMilliseconds()}.{Word(traits.Cause)}.{Word(traits.Quiesced)}.{(traits.Pinned ? "pinned" : "kept")}.n{Convert.ToHexStringLower(name)}{files.Suffix}");
    }

    /// <summary>What a file's name says, or null: not a revision of that volume.</summary>
    internal static RevisionFile? Parse(VolumeFiles files, string file)
    {
        if (!file.StartsWith(files.Stem + Mark, StringComparison.Ordinal) || !file.EndsWith(files.Suffix, StringComparison.Ordinal))
        {
            return null;
        }
        var start = files.Stem.Length + Mark.Length;
        if (start > file.Length - files.Suffix.Length || file[start..^files.Suffix.Length].Split('@', '.') is not [var id, var time, var cause, var quiesced, var pinned, ['n', .. var hex]])
        {
            return null;
        }
        if (!long.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number < 1
            || !long.TryParse(time, NumberStyles.None, CultureInfo.InvariantCulture, out var milliseconds) || milliseconds > 253_402_300_799_999
            || CauseOf(cause) is not { } why || QuiescedOf(quiesced) is not { } rest || hex.Length > 2 * NameLimit || hex.Length % 2 != 0 || !hex.All(char.IsAsciiHexDigitLower))
        {
            return null;
        }
        var name = hex.Length == 0 ? null : Encoding.UTF8.GetString(Convert.FromHexString(hex));
        var created = DateTimeOffset.FromUnixTimeMilliseconds(milliseconds);
        var traits = new RevisionTraits(name, pinned == "pinned", why, rest);
        // Written again it must be the same: one spelling per revision.
        return NameOf(files, number, created, traits) == file ? new RevisionFile(file, number, created, traits) : null;
    }

    /// <summary>A volume's revisions, oldest first.</summary>
    internal static List<RevisionFile> List(VolumeFiles files)
    {
        var directory = Path.GetDirectoryName(files.Stem)!;
        return Directory.Exists(directory)
            ? [.. Directory.EnumerateFiles(directory, Path.GetFileName(files.Stem) + Mark + "*")
                .Where(file => FileStatus.Of(file) is { IsFile: true }).Select(file => Parse(files, file)).OfType<RevisionFile>().OrderBy(revision => revision.Number)]
            : [];
    }

    internal static string Word(RevisionCause cause) => cause switch
    {
        RevisionCause.Stop => "stop",
        RevisionCause.Snapshot => "snapshot",
        RevisionCause.Revert => "revert",
        _ => "import",
    };

    internal static RevisionCause? CauseOf(string word) => word switch
    {
        "stop" => RevisionCause.Stop,
        "snapshot" => RevisionCause.Snapshot,
        "revert" => RevisionCause.Revert,
        "import" => RevisionCause.Import,
        _ => null,
    };

    private static string Word(Quiesced quiesced) => quiesced switch
    {
        Quiesced.Yes => "yes",
        Quiesced.No => "no",
        _ => "timed-out",
    };

    private static Quiesced? QuiescedOf(string word) => word switch
    {
        "yes" => Quiesced.Yes,
        "no" => Quiesced.No,
        "timed-out" => Quiesced.TimedOut,
        _ => null,
    };
}
