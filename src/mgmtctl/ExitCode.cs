using Mgmt.Core;

namespace Mgmt.Cli;

/// <summary>What mgmtctl ends with. SOURCE: docs/wire.md and the help.</summary>
internal static class ExitCode
{
    public const int Done = 0;
    public const int Refused = 1;
    public const int Usage = 2;

    /// <summary>Of run: what was to be run was not, whatever its own status would have been.</summary>
    public const int RunFailed = 125;
    public const int Denied = 126;
    public const int Interrupted = 130;

    /// <summary>What a shell says of a program that SIGPIPE ended.</summary>
    public const int ReaderGone = 141;

    public static int Of(ErrorCode code) => code == ErrorCode.PermissionDenied ? Denied : Refused;
}
