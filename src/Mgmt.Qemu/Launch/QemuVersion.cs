using Mgmt.Core;

namespace Mgmt.Qemu;

/// <summary>QEMU's version, from the program itself.</summary>
internal static class QemuVersion
{
    private const string Lead = "QEMU emulator version ";

    /// <summary>Such as <c>7.2.22</c>. ERRORS: MgmtUnavailableError when it cannot be run.</summary>
    public static async Task<string> ReadAsync(QemuOptions options, CancellationToken cancellation)
    {
        var result = await ShortRun.RunAsync([options.QemuBinary, "--version"], options.ProbeTimeout, cancellation);
        if (result is not { ExitCode: 0 } || !result.Output.StartsWith(Lead, StringComparison.Ordinal))
        {
            throw new MgmtException(ErrorCode.MgmtUnavailableError, "cannot run %s: %s", options.QemuBinary, result?.Output ?? "it is missing or did not end in time");
        }
        var rest = result.Output[Lead.Length..];
        return rest[..rest.IndexOfAny([' ', '\n', '('])];
    }
}
