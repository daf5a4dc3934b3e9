using Microsoft.Extensions.Logging;

namespace Mgmt.Daemon;

/// <summary>Every message of the daemon's own.</summary>
internal static partial class Log
{
    [LoggerMessage(EventId = 100, Level = LogLevel.Information, Message = "mgmtd {Version} serves {Socket} with {Backend}")]
    internal static partial void Serving(ILogger log, string version, string socket, string backend);

    [LoggerMessage(EventId = 101, Level = LogLevel.Information, Message = "mgmtd stops; VMs go on running")]
    internal static partial void Stopping(ILogger log);

    [LoggerMessage(EventId = 102, Level = LogLevel.Error, Message = "starting up: a VM could not be adopted or started")]
    internal static partial void StartupFailed(ILogger log, Exception error);

    [LoggerMessage(EventId = 110, Level = LogLevel.Debug, Message = "connection lost: {Reason}")]
    internal static partial void ConnectionLost(ILogger log, string reason);

    [LoggerMessage(EventId = 111, Level = LogLevel.Error, Message = "connection failed")]
    internal static partial void ConnectionFailed(ILogger log, Exception error);

    [LoggerMessage(EventId = 112, Level = LogLevel.Error, Message = "cannot accept connections")]
    internal static partial void AcceptFailed(ILogger log, Exception error);

    [LoggerMessage(EventId = 113, Level = LogLevel.Warning, Message = "guest {Vm}: a call was refused: {Reason}")]
    internal static partial void GuestRefused(ILogger log, string vm, string reason);

    [LoggerMessage(EventId = 114, Level = LogLevel.Debug, Message = "guest {Vm}: the caller of {Method} is gone: {Reason}")]
    internal static partial void GuestCallerGone(ILogger log, string vm, string method, string reason);

    [LoggerMessage(EventId = 115, Level = LogLevel.Error, Message = "incident: a call of guest {Vm} failed")]
    internal static partial void GuestCallFailed(ILogger log, string vm, Exception error);

    [LoggerMessage(EventId = 116, Level = LogLevel.Warning, Message = "guest {Vm}: service {Service} could not be carried out: {Reason}")]
    internal static partial void ServiceFailed(ILogger log, string vm, string service, string reason);

    [LoggerMessage(EventId = 117, Level = LogLevel.Warning, Message = "guests cannot call over vsock: {Reason}")]
    internal static partial void NoVsock(ILogger log, string reason);

    [LoggerMessage(EventId = 120, Level = LogLevel.Information, Message = "serves {Service} for qrexec on {Path}")]
    internal static partial void ServingQrexec(ILogger log, string service, string path);

    [LoggerMessage(EventId = 123, Level = LogLevel.Information, Message = "serves programs of Qubes OS on {Path}")]
    internal static partial void ServingQubesd(ILogger log, string path);

    [LoggerMessage(EventId = 121, Level = LogLevel.Warning, Message = "{Service}: a request was not answered: {Reason}")]
    internal static partial void QrexecRefused(ILogger log, string service, string reason);

    [LoggerMessage(EventId = 122, Level = LogLevel.Error, Message = "incident in {Service}: a request failed")]
    internal static partial void QrexecFailed(ILogger log, string service, Exception error);

    [LoggerMessage(EventId = 124, Level = LogLevel.Warning, Message = "{Name} will not outlive the daemon: {Reason}")]
    internal static partial void NotKept(ILogger log, string name, string reason);
}
