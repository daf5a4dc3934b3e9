using Mgmt.Core;
using Mgmt.Machined.Bus;

namespace Mgmt.Machined;

/// <summary>What a call about a machine that failed is called in our words.</summary>
internal static class MachineFailures
{
    private const string NoSuchUnit = "org.freedesktop.systemd1.NoSuchUnit";

    public static MgmtException Translate(BusFailure failure, BusCall call, string what) => failure switch
    {
        { Kind: BusFailureKind.NotSent } => new(ErrorCode.MgmtUnavailableError, "%s is not reachable: %s", Peer(call), failure.Message),
        { Kind: BusFailureKind.Unanswered or BusFailureKind.Lost } =>
            new(ErrorCode.MgmtTimeoutError, "%s has not answered %s (%s): what became of it is unknown until looked at again", Peer(call), call.Member, failure.Message),
        { Kind: BusFailureKind.BadReply } => new(ErrorCode.MgmtUnavailableError, "The answer of %s to %s is not understood: %s", Peer(call), call.Member, failure.Message),
        { Name: MachineCalls.NoSuchMachine or BusNames.UnknownObject } => new(ErrorCode.QubesException, "No such machine: '%s'", what),
        { Name: ImageCalls.NoSuchImage } => new(ErrorCode.QubesVolumeNotFoundError, "No such image: '%s'", what),
        { Name: BusNames.FileExists or MachineCalls.LeaderTaken } when call.Member.StartsWith("Copy", StringComparison.Ordinal) =>
            new(ErrorCode.QubesException, "%s is there already, and systemd-machined writes over nothing", what),
        { Name: BusNames.FileNotFound } when call.Member.StartsWith("Copy", StringComparison.Ordinal) => new(ErrorCode.QubesException, "No such file or directory: %s", what),
        { Name: BusNames.NotSupported } => new(ErrorCode.MgmtUnsupportedError, "%s cannot be done with %s: %s", call.Member, what, failure.Message),
        { Name: BusNames.NoSpace or BusNames.QuotaExceeded } => new(ErrorCode.MgmtNoSpaceError, "No space left for %s", what),
        { Name: BusNames.AccessDenied } => new(ErrorCode.MgmtUnavailableError, "%s does not let mgmtd call %s: %s", Peer(call), call.Member, failure.Message),
        { Name: NoSuchUnit } => new(ErrorCode.MgmtUnsupportedError, "This host has no unit for %s: %s", what, failure.Message),
        _ when call.Destination == MachineCalls.Machined && MachineCalls.IsAbsent(failure) => new(ErrorCode.MgmtUnavailableError, "systemd-machined is not available: %s", failure.Message),
        { Name: BusNames.ServiceUnknown or BusNames.NameHasNoOwner } => new(ErrorCode.MgmtUnavailableError, "%s is not available: %s", Peer(call), failure.Message),
        _ => new(ErrorCode.QubesException, "%s refused %s of %s: %s", Peer(call), call.Member, what, failure.Message),
    };

    private static string Peer(BusCall call) => call.Destination == MachineCalls.Systemd ? "systemd" : "systemd-machined";
}
