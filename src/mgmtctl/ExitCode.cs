using Mgmt.Core;

namespace Mgmt.Cli;

/// <summary>What mgmtctl ends with. SOURCE: docs/wire.md and the help.</summary>
internal static class ExitCode
{
    public const int Done = 0;
    public const int Refused = 1;
    public const int Usage = 2;

    /// <summary>Of run: the program has no exit status, as it was not run or its status did not come.</summary>
    public const int NoStatus = 125;
    public const int Denied = 126;
    public const int Interrupted = 130;

    /// <summary>What a shell says of a program that SIGPIPE ended.</summary>
    public const int ReaderGone = 141;

    public static int Of(ErrorCode code) => code == ErrorCode.PermissionDenied ? Denied : Refused;
}
