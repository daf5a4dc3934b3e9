using System.ComponentModel;
using System.Diagnostics;
using Mgmt.Core;
using Mgmt.Wire;

namespace Mgmt.Cli;

/// <summary>
/// The way to the daemon from inside a guest: each call is a run of qrexec-client-vm, which is looked for in <paramref name="path"/> (as PATH is written). Who calls, the host knows.
/// SOURCE: docs/guests.md, "Calling".
/// </summary>
internal sealed class QrexecTransport(string path) : ICallTransport
{
    private const string Program = "qrexec-client-vm";
    private const UnixFileMode Executable = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    public bool NamesSource => false;

    public Task<CallConnection> ConnectAsync(RequestHeader header, CancellationToken cancellationToken)
    {
        // For its checks: the same words are refused here as on a socket.
        _ = header.ToBytes();
        var target = header.Kind == DestinationKind.Keyword ? Daemon.Host : header.Destination;
        if (target[0] == '-')
        {
            throw new MgmtException(ErrorCode.ProtocolError, "'%s' is no VM", target);
        }
        return Task.FromResult<CallConnection>(new QrexecConnection(Start(target, header.Argument.Length == 0 ? header.Method : $"{header.Method}+{header.Argument}"), header.Method, target));
    }

    private Process Start(string target, string service)
    {
        try
        {
            return Process.Start(new ProcessStartInfo(Find(), [target, service]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true })!;
        }
        catch (Win32Exception error)
        {
            throw new MgmtException(error, ErrorCode.MgmtUnavailableError, "Cannot run %s: %s", Program, error.Message);
        }
    }

    /// <summary>Left to itself the runtime looks in the current directory too.</summary>
    private string Find() => path.Split(':').Where(Path.IsPathRooted).Select(directory => Path.Combine(directory, Program)).FirstOrDefault(IsProgram)
        ?? throw new MgmtException(ErrorCode.MgmtUnavailableError, "There is no %s in PATH: this is no guest, or the programs of a guest are not installed in it", Program);

    private static bool IsProgram(string file) => File.Exists(file) && (File.GetUnixFileMode(file) & Executable) != 0;
}
