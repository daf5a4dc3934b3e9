using Microsoft.Extensions.Logging;

namespace Mgmt.Devices;

internal static partial class Log
{
    [LoggerMessage(7001, LogLevel.Error, "a look at the devices of the host failed")]
    public static partial void LookFailed(ILogger log, Exception error);

    [LoggerMessage(7002, LogLevel.Warning, "the kernel's device events cannot be followed: devices are looked for now and then")]
    public static partial void NotFollowing(ILogger log);

    [LoggerMessage(7003, LogLevel.Warning, "directory {Path} of exported-files cannot be followed")]
    public static partial void DirectoryNotFollowed(ILogger log, string path, Exception error);
}
