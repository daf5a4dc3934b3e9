namespace Mgmt.Api;

/// <summary>What a peer may name as the source of its call. The transport says who it is, never the peer.</summary>
public static class CallerRights
{
    /// <summary>ERRORS: PermissionDenied.</summary>
    public static void Check(Caller caller, CallRequest request)
    {
        if (request.RequestedSource is not null)
        {
            throw new MgmtException(ErrorCode.PermissionDenied, "A management call is not relayed: %s calls for itself only", request.Source);
        }
        switch (caller.Role)
        {
            case CallerRole.Any:
            case CallerRole.Dom0Only when request.Source == "dom0":
            case CallerRole.VmFrontEnd when !IsDom0(request.Source):
                return;
            case CallerRole.Dom0Only:
                throw new MgmtException(ErrorCode.PermissionDenied, "Members of the management group call as dom0 and must write dom0 as the source, not %s", request.Source);
            case CallerRole.VmFrontEnd:
                throw new MgmtException(ErrorCode.PermissionDenied, "A front end may not call as dom0");
            default:
                throw new MgmtException(ErrorCode.PermissionDenied, "User %s may not use this socket; root and members of the management group may", caller.Uid.ToString(System.Globalization.CultureInfo.InvariantCulture));
        }
    }

    internal static bool IsDom0(string source) => source is "dom0" or "@adminvm" or "@default" || (SnapshotDirectory.IsUuid(source) && Guid.TryParse(source.AsSpan(5), out var uuid) && uuid == Guid.Empty);
}
