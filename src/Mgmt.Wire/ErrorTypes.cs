using Mgmt.Core;

namespace Mgmt.Wire;

/// <summary>The TYPE of an error on the wire. SOURCE: docs/wire.md, "Errors".</summary>
public static class ErrorTypes
{
    /// <summary>What the admin.* dialect says for a denial; clients of Qubes OS treat it like the empty reply they expect there.</summary>
    public const string AdminDenied = "QubesDaemonAccessError";

    /// <summary>The name of a code in one of the dialects.</summary>
    public static string Of(ErrorCode code, bool adminDialect) =>
        code == ErrorCode.PermissionDenied && adminDialect ? AdminDenied
        : Enum.GetName(code) ?? throw new ArgumentOutOfRangeException(nameof(code));
}
