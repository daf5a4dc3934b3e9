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
}
