using Microsoft.Extensions.Logging;

namespace Mgmt.Qrexec;

/// <summary>Every message about guest channels.</summary>
internal static partial class Log
{
    [LoggerMessage(EventId = 1100, Level = LogLevel.Debug, Message = "{Channel}: lost: {Reason}")]
    internal static partial void ChannelLost(ILogger log, string channel, string reason);

    [LoggerMessage(EventId = 1101, Level = LogLevel.Warning, Message = "{Channel}: the guest broke the protocol: {Reason}")]
    internal static partial void Broken(ILogger log, string channel, string reason);

    [LoggerMessage(EventId = 1102, Level = LogLevel.Warning, Message = "{Channel}: {Bytes} bytes of no call; left unread for a while")]
    internal static partial void Flooded(ILogger log, string channel, long bytes);

    [LoggerMessage(EventId = 1103, Level = LogLevel.Error, Message = "incident in {Channel}: it is not served any more")]
    internal static partial void ChannelFailed(ILogger log, string channel, Exception error);

    [LoggerMessage(EventId = 1110, Level = LogLevel.Warning, Message = "service {Path}: did not end when it was asked to, and was killed")]
    internal static partial void ServiceKilled(ILogger log, string path);

    [LoggerMessage(EventId = 1111, Level = LogLevel.Information, Message = "service {Path}: {Text}")]
    internal static partial void ServiceSaid(ILogger log, string path, string text);
}
