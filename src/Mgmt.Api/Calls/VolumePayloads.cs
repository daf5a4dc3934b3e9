namespace Mgmt.Api;

/// <summary>The payloads of the calls on volumes, without the id that those of pools begin with.</summary>
internal static class VolumePayloads
{
    private const int SnapshotNameMax = 64;
    private const string Force = " force";

    /// <summary>SHAPE: <c>BYTES</c> or <c>BYTES force</c>. ERRORS: QubesValueError.</summary>
    internal static (long SizeBytes, bool Force) Size(string text)
    {
        var force = text.EndsWith(Force, StringComparison.Ordinal);
        var size = Parse.Number(force ? text[..^Force.Length] : text, "Volume size", allowNegative: true);
        VolumeOperations.CheckSize(size);
        return (size, force);
    }

    /// <summary>SHAPE: <c>ID</c> or <c>ID force</c>. ERRORS: QubesVolumeRevisionNotFoundError.</summary>
    internal static (RevisionId Id, bool Force) RevisionToRemove(string text)
    {
        var force = text.EndsWith(Force, StringComparison.Ordinal);
        return (RevisionId.Parse(force ? text[..^Force.Length] : text), force);
    }

    /// <summary>SHAPE: a number, -1 or more. ERRORS: QubesValueError.</summary>
    internal static int RevisionsToKeep(string text)
    {
        var count = Parse.Number(text, "revisions_to_keep", allowNegative: true);
        return count is >= -1 and <= int.MaxValue ? (int)count : throw new MgmtException(ErrorCode.QubesValueError, "revisions_to_keep has to be -1 or more, not %s", text);
    }

    /// <summary>
    /// SHAPE: lines <c>name=NAME</c> (1 to 64 printable ASCII characters), <c>pin=yes|no</c>, <c>quiesce=yes|no|try</c>, each at most once, in any order.
    /// ERRORS: ProtocolError for the shape, QubesValueError for a value.
    /// </summary>
    internal static SnapshotWish Snapshot(string text)
    {
        var keys = Keys(text);
        var name = keys.Remove("name", out var given) ? SnapshotName(given) : null;
        var pinned = keys.Remove("pin", out var pin) && pin switch { "yes" => true, "no" => false, _ => throw Bad("pin", "yes or no") };
        var quiesce = !keys.Remove("quiesce", out var wish) ? QuiesceWish.Try : wish switch
        {
            "yes" => QuiesceWish.Yes,
            "no" => QuiesceWish.No,
            "try" => QuiesceWish.Try,
            _ => throw Bad("quiesce", "yes, no or try"),
        };
        return keys.Count == 0 ? new(name, pinned, quiesce) : throw new MgmtException(ErrorCode.ProtocolError, "unexpected key in the payload: %s", keys.Keys.First());
    }

    /// <summary>SHAPE: lines <c>KEY=VALUE</c>, no key twice; the last may lack its end. ERRORS: ProtocolError; QubesValueError for control characters.</summary>
    internal static Dictionary<string, string> Keys(string text)
    {
        var keys = new Dictionary<string, string>(StringComparer.Ordinal);
        var lines = text.Split('\n');
        foreach (var line in lines[^1].Length == 0 ? lines[..^1] : lines)
        {
            var equals = line.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0)
            {
                throw new MgmtException(ErrorCode.ProtocolError, "expected lines KEY=VALUE in the payload");
            }
            if (line.Any(char.IsControl))
            {
                throw new MgmtException(ErrorCode.QubesValueError, "control characters in the payload");
            }
            if (!keys.TryAdd(line[..equals], line[(equals + 1)..]))
            {
                throw new MgmtException(ErrorCode.ProtocolError, "duplicate key in the payload: %s", line[..equals]);
            }
        }
        return keys;
    }

    private static string SnapshotName(string text) => text.Length is > 0 and <= SnapshotNameMax && text.All(c => c is >= ' ' and <= '~')
        ? text
        : throw new MgmtException(ErrorCode.QubesValueError, "The name of a snapshot has to be 1 to %s printable ASCII characters", $"{SnapshotNameMax}");

    private static MgmtException Bad(string key, string expected) => new(ErrorCode.QubesValueError, "%s has to be %s", key, expected);
}
