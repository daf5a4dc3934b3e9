using Microsoft.Extensions.Logging;

namespace Mgmt.Machined;

/// <summary>Every log message of the project.</summary>
internal static partial class Log
{
    [LoggerMessage(6001, LogLevel.Information, "Connected to the bus at {Address}")]
    public static partial void Connected(ILogger logger, string address);

    [LoggerMessage(6002, LogLevel.Warning, "No bus at {Address}: {Why}")]
    public static partial void Lost(ILogger logger, string address, string why);

    [LoggerMessage(6003, LogLevel.Warning, "A message of the bus could not be used")]
    public static partial void BadMessage(ILogger logger, Exception fault);

    [LoggerMessage(6004, LogLevel.Critical, "The bus thread ended")]
    public static partial void BusThreadEnded(ILogger logger, Exception bug);

    [LoggerMessage(6005, LogLevel.Information, "Registry of machines: {State} ({Detail})")]
    public static partial void Status(ILogger logger, string state, string detail);

    [LoggerMessage(6006, LogLevel.Information, "Machine {Machine} registered, leader {Pid}")]
    public static partial void Registered(ILogger logger, string machine, int pid);

    [LoggerMessage(6007, LogLevel.Warning, "Process {Pid} of {Machine} is not a registered machine: {Why}")]
    public static partial void Degraded(ILogger logger, string machine, int pid, string why);
}
