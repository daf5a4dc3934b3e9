using Mgmt.Wire;

namespace Mgmt.Cli;

/// <summary>Which daemon is meant, and the way to it: --socket, else --connect, else MGMT_SOCKET, else the system's.</summary>
internal static class Endpoint
{
    public const string System = "/run/mgmtd/mgmtd.sock";

    /// <summary>In a guest: the daemon of its host, by qrexec-client-vm.</summary>
    public const string Qrexec = "qrexec:///";

    public static ICallTransport Resolve(string? socket, string? uri, Func<string, string?> variable)
    {
        if (socket is not null && uri is not null)
        {
            throw new UsageException("--connect and --socket cannot be used together");
        }
        if (uri == Qrexec)
        {
            return new QrexecTransport(variable("PATH") ?? "");
        }
        return new SocketTransport(socket ?? (uri is not null ? FromUri(uri, variable) : variable("MGMT_SOCKET") is { Length: > 0 } path ? path : System));
    }

    private static string FromUri(string uri, Func<string, string?> variable) => uri switch
    {
        "qemu:///system" => System,
        "qemu:///session" => variable("XDG_RUNTIME_DIR") is { Length: > 0 } directory
            ? Path.Combine(directory, "mgmtd", "mgmtd.sock")
            : throw new UsageException("qemu:///session needs XDG_RUNTIME_DIR"),
        _ when uri.StartsWith("unix:///", StringComparison.Ordinal) && uri.Length > "unix:///".Length => uri["unix://".Length..],
        _ => throw new UsageException("--connect takes unix:///PATH, qemu:///system, qemu:///session or " + Qrexec),
    };
}
