using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Mgmt.Core;

namespace Mgmt.Storage;

/// <summary>
/// What is written down at a logical volume, as tags (lvm(8): letters, digits and <c>_ + . - / = ! : # &amp;</c>):
/// <c>mgmt</c> it is ours; <c>mgmt:direct</c> a run writes the content itself; <c>mgmt:base=UUID</c> what a run was made from;
/// <c>mgmt:last=ID</c> the newest revision was given that id and is gone;
/// <c>mgmt:commit=CAUSE</c> this replaces the content, which becomes a revision of that cause, or of <c>none</c> goes;
/// of a revision <c>mgmt:created=UNIXMS</c>, <c>mgmt:cause=</c>, <c>mgmt:quiesced=</c>, <c>mgmt:pinned</c>, <c>mgmt:name=HEX</c>.
/// </summary>
internal static class LvmTags
{
    internal const string Ours = "mgmt", Direct = "mgmt:direct";
    private const string BaseKey = "mgmt:base=", CommitKey = "mgmt:commit=", CreatedKey = "mgmt:created=", CauseKey = "mgmt:cause=", QuiescedKey = "mgmt:quiesced=";
    private const string LastKey = "mgmt:last=";
    private const string Pinned = "mgmt:pinned", NameKey = "mgmt:name=", NoRevision = "none";

    internal static string Base(string uuid) => BaseKey + uuid;

    internal static string? BaseOf(LogicalVolume volume) => Value(volume, BaseKey);

    internal static string Last(ulong id) => LastKey + id.ToString(CultureInfo.InvariantCulture);

    internal static ulong LastOf(LogicalVolume volume) => volume.Tags
        .Where(tag => tag.StartsWith(LastKey, StringComparison.Ordinal))
        .Max(tag => ulong.TryParse(tag.AsSpan(LastKey.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : (ulong?)0) ?? 0;

    internal static string Commit(RevisionCause? kept) => CommitKey + (kept is { } cause ? Word(cause.ToString()) : NoRevision);

    /// <summary>Whether it is to replace the content, and why what it replaces is kept (null: it is not).</summary>
    internal static bool IsCommit(LogicalVolume volume, out RevisionCause? kept)
    {
        var word = Value(volume, CommitKey);
        kept = Enum.TryParse<RevisionCause>(word, ignoreCase: true, out var cause) ? cause : null;
        return word is not null;
    }

    internal static ImmutableArray<string> Of(RevisionTraits traits, DateTimeOffset created)
    {
        ImmutableArray<string> tags =
        [
            CreatedKey + created.ToUnixTimeMilliseconds().ToString(CultureInfo.InvariantCulture),
            CauseKey + Word(traits.Cause.ToString()),
            QuiescedKey + (traits.Quiesced == Quiesced.TimedOut ? "timed-out" : Word(traits.Quiesced.ToString())),
        ];
        tags = traits.Pinned ? tags.Add(Pinned) : tags;
        return traits.Name is { } name ? tags.Add(NameKey + Convert.ToHexStringLower(Encoding.UTF8.GetBytes(name))) : tags;
    }

    /// <summary>Whether the tags of a revision are there.</summary>
    internal static bool HasTraits(LogicalVolume volume) => Value(volume, CreatedKey) is not null;

    /// <summary>The revision that a logical volume is; null when its tags are not those of one.</summary>
    internal static Revision? Revision(LogicalVolume volume, RevisionId id)
    {
        if (!long.TryParse(Value(volume, CreatedKey), NumberStyles.None, CultureInfo.InvariantCulture, out var created)
            || created > DateTimeOffset.MaxValue.ToUnixTimeMilliseconds()
            || !Enum.TryParse<RevisionCause>(Value(volume, CauseKey), ignoreCase: true, out var cause)
            || !Enum.TryParse<Quiesced>(Value(volume, QuiescedKey)?.Replace("-", "", StringComparison.Ordinal), ignoreCase: true, out var quiesced))
        {
            return null;
        }
        var traits = new RevisionTraits(NameOf(volume), volume.Tags.Contains(Pinned), cause, quiesced);
        return new Revision(id, DateTimeOffset.FromUnixTimeMilliseconds(created), traits, volume.SizeBytes);
    }

    private static string? NameOf(LogicalVolume volume)
    {
        try
        {
            return Value(volume, NameKey) is { } hex ? Encoding.UTF8.GetString(Convert.FromHexString(hex)) : null;
        }
        catch (FormatException)
        {
            return null;
        }
    }

    private static string? Value(LogicalVolume volume, string key) =>
        volume.Tags.FirstOrDefault(tag => tag.StartsWith(key, StringComparison.Ordinal))?[key.Length..];

    private static string Word(string member) => member.ToLowerInvariant();
}
