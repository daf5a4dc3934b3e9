using Microsoft.Extensions.Logging;

namespace Mgmt.Storage;

internal static partial class Log
{
    [LoggerMessage(4001, LogLevel.Information, "pool {Pool}: removed {Count} files that an interrupted operation left")]
    internal static partial void LeftoversRemoved(ILogger logger, string pool, int count);

    [LoggerMessage(4002, LogLevel.Warning, "{Tool} {Verb} failed with status {Status}: {Output}")]
    internal static partial void ToolFailed(ILogger logger, string tool, string verb, int status, string output);

    [LoggerMessage(4003, LogLevel.Warning, "{Tool} {Verb} took longer than {Deadline} and was killed")]
    internal static partial void ToolTimedOut(ILogger logger, string tool, string verb, TimeSpan deadline);

    [LoggerMessage(4004, LogLevel.Warning, "pool {Pool}: cannot look at its files")]
    internal static partial void RefreshFailed(ILogger logger, Exception failure, string pool);

    [LoggerMessage(4005, LogLevel.Warning, "pool {Pool}: volume {Volume} was not stopped after its last run; its data is kept")]
    internal static partial void UncleanVolume(ILogger logger, string pool, string volume);

    [LoggerMessage(4006, LogLevel.Warning, "pool {Pool}: operation failed")]
    internal static partial void OperationFailed(ILogger logger, Exception failure, string pool);
}
