using Microsoft.Extensions.Logging;

namespace Mgmt.Policy;

internal static partial class Log
{
    [LoggerMessage(3001, LogLevel.Information, "Policy {Digest} is in force: {Rules} rules from {Files} files")]
    public static partial void Loaded(ILogger logger, string digest, int rules, int files);

    [LoggerMessage(3002, LogLevel.Error, "The policy files have {Count} mistakes, the set {Digest} stays in force; the first: {First}")]
    public static partial void Broken(ILogger logger, int count, string digest, PolicyDiagnostic first);

    [LoggerMessage(3003, LogLevel.Warning, "The last good policy cannot be kept in {File}")]
    public static partial void NotSaved(ILogger logger, Exception error, string file);

    [LoggerMessage(3004, LogLevel.Warning, "The last good policy in {File} cannot be used: {Reason}")]
    public static partial void NotRestored(ILogger logger, string file, string reason);

    [LoggerMessage(3005, LogLevel.Warning, "{Directory} cannot be watched; changes in it take effect at the next reload")]
    public static partial void NotWatched(ILogger logger, Exception error, string directory);

    [LoggerMessage(3006, LogLevel.Error, "Reloading the policy failed; the set in force stays")]
    public static partial void ReloadFailed(ILogger logger, Exception error);
}
