using Microsoft.Extensions.Logging;

namespace Mgmt.Qemu;

/// <summary>Every message of this project. Event ids 3000 to 3099; what a guest says is never logged.</summary>
internal static partial class Log
{
    [LoggerMessage(3000, LogLevel.Warning, "QEMU's control socket said something outside its protocol")]
    public static partial void QmpNonsense(ILogger log, Exception error);

    [LoggerMessage(3001, LogLevel.Debug, "The guest agent cannot be reached")]
    public static partial void AgentUnreachable(ILogger log, Exception error);

    [LoggerMessage(3002, LogLevel.Warning, "KVM is not used, guests run much slower: {Reason}")]
    public static partial void NoKvm(ILogger log, string reason);

    [LoggerMessage(3003, LogLevel.Information, "VM {Vm}: process {Pid} made")]
    public static partial void Launched(ILogger log, string vm, int pid);

    [LoggerMessage(3004, LogLevel.Information, "VM {Vm}: process {Pid} adopted")]
    public static partial void Adopted(ILogger log, string vm, int pid);

    [LoggerMessage(3005, LogLevel.Information, "VM {Vm}: process {Pid} ended ({Reason}, crashed: {Crashed}) {Output}")]
    public static partial void Ended(ILogger log, string vm, int pid, string reason, bool crashed, string output);

    [LoggerMessage(3006, LogLevel.Warning, "VM {Vm}: lost its control socket, connecting again")]
    public static partial void MonitorLost(ILogger log, string vm);

    [LoggerMessage(3007, LogLevel.Warning, "Stray run directory {Directory} removed; process killed: {Killed}")]
    public static partial void StrayReaped(ILogger log, string directory, bool killed);

    [LoggerMessage(3008, LogLevel.Warning, "VM {Vm}: the start failed and was undone: {Output}")]
    public static partial void LaunchFailed(ILogger log, string vm, string output, Exception error);

    [LoggerMessage(3009, LogLevel.Warning, "VM {Vm}: its run directory cannot be removed")]
    public static partial void DirectoryStays(ILogger log, string vm, Exception error);

    [LoggerMessage(3010, LogLevel.Error, "VM {Vm}: the loop that follows it failed")]
    public static partial void FollowFailed(ILogger log, string vm, Exception error);

    [LoggerMessage(3012, LogLevel.Warning, "VM {Vm}: {Count} events of its monitor were dropped so far")]
    public static partial void EventsLost(ILogger log, string vm, int count);

    [LoggerMessage(3013, LogLevel.Warning, "VM {Vm}: what the copy of a disk made in QEMU cannot be removed now")]
    public static partial void CopyRemains(ILogger log, string vm, Exception error);

    [LoggerMessage(3020, LogLevel.Warning, "VM {Vm}: what stood behind a device in QEMU cannot be removed now")]
    public static partial void DeviceRemains(ILogger log, string vm, Exception error);

    [LoggerMessage(3021, LogLevel.Warning, "VM {Vm}: started without vsock: {Reason}. Load the module vhost_vsock (modprobe vhost_vsock) and start it again")]
    public static partial void NoVsock(ILogger log, string vm, string reason);

    [LoggerMessage(3011, LogLevel.Warning, "VM {Vm}: not adopted through its first control socket, trying the second")]
    public static partial void TryingRescue(ILogger log, string vm, Exception error);
}
