using System.Collections.Frozen;

namespace Mgmt.Api;

/// <summary>All calls by name.</summary>
public sealed class CallTable
{
    private const string MgmtPrefix = "mgmt.";
    private const string AdminPrefix = "admin.";
    private const string InternalPrefix = "internal.";
    private readonly FrozenDictionary<string, CallRow> _rows;
    private readonly FrozenDictionary<string, CallRow>.AlternateLookup<ReadOnlySpan<char>> _lookup;

    /// <summary>Collects the rows. ERRORS: ArgumentException when two rows have one name.</summary>
    public CallTable(IEnumerable<ICallGroup> groups)
    {
        Rows = [.. groups.SelectMany(group => group.Rows).OrderBy(row => row.Name, StringComparer.Ordinal)];
        _rows = Rows.ToDictionary(row => row.Name, StringComparer.Ordinal).ToFrozenDictionary(StringComparer.Ordinal);
        _lookup = _rows.GetAlternateLookup<ReadOnlySpan<char>>();
    }

    /// <summary>Every row, by name.</summary>
    public IReadOnlyList<CallRow> Rows { get; }

    /// <summary>The row of a method as a caller names it. ERRORS: ProtocolError when there is none.</summary>
    public CallRow Find(string method, out CallDialect dialect)
    {
        if (method.StartsWith(CallQuestion.OwnPrefix, StringComparison.Ordinal))
        {
            dialect = CallDialect.Mgmt;
            return _rows.TryGetValue(method, out var own) ? own : throw Unknown(method);
        }
        // What the services of Qubes OS ask each other has no prefix of its own.
        var isInternal = method.StartsWith(InternalPrefix, StringComparison.Ordinal);
        dialect = isInternal || method.StartsWith(AdminPrefix, StringComparison.Ordinal) ? CallDialect.Admin : CallDialect.Mgmt;
        var prefix = isInternal ? "" : dialect == CallDialect.Admin ? AdminPrefix : MgmtPrefix;
        return method.StartsWith(prefix, StringComparison.Ordinal)
            && _lookup.TryGetValue(method.AsSpan(prefix.Length), out var row)
            && (row.Dialects == CallDialects.Both || (dialect == CallDialect.Mgmt && row.Dialects == CallDialects.Mgmt))
            ? row
            : throw Unknown(method);
    }

    private static MgmtException Unknown(string method) => new(ErrorCode.ProtocolError, "no such method: '%s'", method);
}

/// <summary>The dialect a caller speaks, by the prefix of the method.</summary>
public enum CallDialect
{
    /// <summary><c>mgmt.</c></summary>
    Mgmt,
    /// <summary><c>admin.</c></summary>
    Admin,
}
