using Microsoft.Extensions.Logging;

namespace Mgmt.Api;

/// <summary>Every message of this project. Payloads and property values are never logged.</summary>
internal static partial class Log
{
    [LoggerMessage(EventId = 1001, Level = LogLevel.Error, Message = "audit log {Path} cannot be written")]
    internal static partial void AuditBroken(ILogger log, string path, Exception error);

    [LoggerMessage(EventId = 1002, Level = LogLevel.Error, Message = "incident {Incident} in {Method} for {Source} on {Target}")]
    internal static partial void Incident(ILogger log, string incident, string method, string source, string target, Exception error);

    [LoggerMessage(EventId = 1010, Level = LogLevel.Information, Message = "{Vm}: started, pid {Pid}")]
    internal static partial void Started(ILogger log, VmName vm, int pid);

    [LoggerMessage(EventId = 1011, Level = LogLevel.Warning, Message = "{Vm}: start failed: {Reason}")]
    internal static partial void StartFailed(ILogger log, VmName vm, string reason);

    [LoggerMessage(EventId = 1012, Level = LogLevel.Information, Message = "{Vm}: ended ({Reason})")]
    internal static partial void Ended(ILogger log, VmName vm, string reason);

    [LoggerMessage(EventId = 1013, Level = LogLevel.Warning, Message = "{Vm}: crashed ({Reason})")]
    internal static partial void Crashed(ILogger log, VmName vm, string reason);

    [LoggerMessage(EventId = 1014, Level = LogLevel.Information, Message = "{Vm}: adopted, pid {Pid}, {State}")]
    internal static partial void Adopted(ILogger log, VmName vm, int pid, VmState state);

    [LoggerMessage(EventId = 1015, Level = LogLevel.Warning, Message = "{Vm}: does not answer, state unknown: {Reason}")]
    internal static partial void NotAdopted(ILogger log, VmName vm, string reason);

    [LoggerMessage(EventId = 1024, Level = LogLevel.Warning, Message = "{Vm}: its guest may be frozen since {Since}, by an earlier daemon: it is thawed")]
    internal static partial void FoundFrozen(ILogger log, VmName vm, DateTimeOffset since);

    [LoggerMessage(EventId = 1025, Level = LogLevel.Error, Message = "{Vm}: its guest ought to be thawed and does not say that it is")]
    internal static partial void ThawOverdue(ILogger log, VmName vm);

    [LoggerMessage(EventId = 1026, Level = LogLevel.Warning, Message = "{Vm}: a thaw failed, and is tried again: {Reason}")]
    internal static partial void NotThawed(ILogger log, VmName vm, string reason);

    [LoggerMessage(EventId = 1027, Level = LogLevel.Information, Message = "{Vm}: a snapshot is taken without freezing its guest: {Reason}")]
    internal static partial void NotFrozen(ILogger log, VmName vm, string reason);

    [LoggerMessage(EventId = 1016, Level = LogLevel.Error, Message = "{Vm}: cleaning up after its end failed")]
    internal static partial void CleanUpFailed(ILogger log, VmName vm, Exception error);

    [LoggerMessage(EventId = 1017, Level = LogLevel.Error, Message = "{Vm}: watching it failed")]
    internal static partial void PumpFailed(ILogger log, VmName vm, Exception error);

    [LoggerMessage(EventId = 1018, Level = LogLevel.Warning, Message = "{Vm}: autostart failed: {Reason}")]
    internal static partial void AutostartFailed(ILogger log, VmName vm, string reason);

    [LoggerMessage(EventId = 1019, Level = LogLevel.Information, Message = "{Vm}: a step of its shutdown failed: {Reason}")]
    internal static partial void ShutdownStepFailed(ILogger log, VmName vm, string reason);

    [LoggerMessage(EventId = 1020, Level = LogLevel.Error, Message = "pool {Pool} cannot be used: {Reason}")]
    internal static partial void PoolBroken(ILogger log, PoolName pool, string reason);

    [LoggerMessage(EventId = 1021, Level = LogLevel.Warning, Message = "volume {Vid} in pool {Pool} could not be removed")]
    internal static partial void VolumeLeft(ILogger log, string vid, PoolName pool, Exception error);

    [LoggerMessage(EventId = 1028, Level = LogLevel.Warning, Message = "volume {Vid} in pool {Pool} was left half-made or half-removed, and is removed")]
    internal static partial void LeftoverRemoved(ILogger log, string vid, PoolName pool);

    [LoggerMessage(EventId = 1035, Level = LogLevel.Warning, Message = "pool {Pool}: mended {What}: {Problem}")]
    internal static partial void Mended(ILogger log, PoolName pool, string what, string problem);

    [LoggerMessage(EventId = 1036, Level = LogLevel.Warning, Message = "pool {Pool}: {Count} findings of its check are left; pool.Check lists them")]
    internal static partial void FindingsLeft(ILogger log, PoolName pool, int count);

    [LoggerMessage(EventId = 1037, Level = LogLevel.Warning, Message = "pool {Pool} could not be checked")]
    internal static partial void PoolNotChecked(ILogger log, PoolName pool, Exception error);

    [LoggerMessage(EventId = 1060, Level = LogLevel.Warning, Message = "{Vm} starts without device {Device}: {Reason}")]
    internal static partial void DeviceNotAttached(ILogger log, VmName vm, DeviceAddress device, string reason);

    [LoggerMessage(EventId = 1061, Level = LogLevel.Warning, Message = "{Vm} has device {Device} attached, which cannot be kept open here")]
    internal static partial void DeviceNotHeld(ILogger log, VmName vm, DeviceAddress device, Exception error);

    [LoggerMessage(EventId = 1062, Level = LogLevel.Warning, Message = "device {Device} came or went, and what follows from it failed")]
    internal static partial void DeviceChangeFailed(ILogger log, DeviceAddress device, Exception error);

    [LoggerMessage(EventId = 1030, Level = LogLevel.Warning, Message = "policy: {File}:{Line}: {Problem}")]
    internal static partial void PolicyProblem(ILogger log, string file, int line, string problem);

    [LoggerMessage(EventId = 1031, Level = LogLevel.Information, Message = "policy loaded: {Rules} rules in {Files} files")]
    internal static partial void PolicyLoaded(ILogger log, int rules, int files);

    [LoggerMessage(EventId = 1022, Level = LogLevel.Error, Message = "processes that no VM is known for could not be ended")]
    internal static partial void ReapFailed(ILogger log, Exception error);

    [LoggerMessage(EventId = 1032, Level = LogLevel.Warning, Message = "{Count} policy notices could not be journalled")]
    internal static partial void NoticesLost(ILogger log, int count, Exception error);

    [LoggerMessage(EventId = 1041, Level = LogLevel.Error, Message = "event {Name} could not be journalled")]
    internal static partial void EventLost(ILogger log, string name, Exception error);

    [LoggerMessage(EventId = 1040, Level = LogLevel.Error, Message = "{Loop} stopped")]
    internal static partial void LoopFailed(ILogger log, string loop, Exception error);

    [LoggerMessage(EventId = 1045, Level = LogLevel.Warning, Message = "{Vm} is over and stays until nothing names it: {Reason}")]
    internal static partial void DisposableKept(ILogger log, VmName vm, string reason);

    [LoggerMessage(EventId = 1046, Level = LogLevel.Warning, Message = "{Vm} was made ahead and cannot be handed out: {Reason}")]
    internal static partial void PreloadLost(ILogger log, VmName vm, string reason);

    [LoggerMessage(EventId = 1047, Level = LogLevel.Warning, Message = "{Vm}: no disposable could be made ahead of need: {Reason}")]
    internal static partial void PreloadFailed(ILogger log, VmName vm, string reason);

    [LoggerMessage(EventId = 1048, Level = LogLevel.Information, Message = "{Vm} was made ahead and is removed: {Reason}")]
    internal static partial void PreloadEnded(ILogger log, VmName vm, string reason);

    [LoggerMessage(EventId = 1071, Level = LogLevel.Information, Message = "pool {Pool} can be used again")]
    internal static partial void PoolReopened(ILogger log, PoolName pool);

    [LoggerMessage(EventId = 1050, Level = LogLevel.Information, Message = "question {Id}, {Source} calls {Service}, asked by {Rule}: {Outcome}")]
    internal static partial void AskEnded(ILogger log, string id, string source, string service, string rule, string outcome);

    [LoggerMessage(EventId = 1051, Level = LogLevel.Information, Message = "question {Id}: {Outcome}, said {Agent}")]
    internal static partial void Answered(ILogger log, string id, string outcome, string agent);

    [LoggerMessage(EventId = 1090, Level = LogLevel.Debug, Message = "{Vm}: its guest does not say what it is: {Reason}")]
    internal static partial void GuestSilent(ILogger log, VmName vm, string reason);

    [LoggerMessage(EventId = 1091, Level = LogLevel.Information, Message = "{Vm}: the guest's clock was off by {Drift} after it stood still, and was set")]
    internal static partial void ClockSet(ILogger log, VmName vm, TimeSpan drift);

    [LoggerMessage(EventId = 1092, Level = LogLevel.Warning, Message = "{Vm}: the guest's clock is off by {Drift} after it stood still, and cannot be set: {Reason}")]
    internal static partial void ClockNotSet(ILogger log, VmName vm, TimeSpan drift, string reason);

    [LoggerMessage(EventId = 1052, Level = LogLevel.Warning, Message = "agent {Agent} could not be asked")]
    internal static partial void AgentFailed(ILogger log, string agent, Exception error);
}
