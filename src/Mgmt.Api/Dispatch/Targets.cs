namespace Mgmt.Api;

/// <summary>From the destination of a header to a VM.</summary>
public static class Targets
{
    /// <summary>
    /// The destination as the policy is asked: the VM's name, and <c>dom0</c> for all its spellings. What does not exist keeps the name
    /// it was given, which the policy matches as <c>@default</c>. ERRORS: ProtocolError for a disposable, QubesVMInvalidUUIDError, QubesValueError for what cannot be a name.
    /// </summary>
    public static string Asked(HostState state, CallRequest request)
    {
        if (request.DestinationIsKeyword || request.Destination is "@adminvm" or "@default")
        {
            return "dom0";
        }
        if (request.Destination.StartsWith("@dispvm", StringComparison.Ordinal))
        {
            throw new MgmtException(ErrorCode.ProtocolError, "a management call has no disposable as its target");
        }
        Check(request.Destination);
        return FindVm(state, request.Destination)?.Name.Value ?? request.Destination;
    }

    /// <summary>The VM a call is for. ERRORS: QubesVMNotFoundError; ProtocolError for the wrong kind.</summary>
    public static VmRecord Resolve(HostState state, CallRow row, CallRequest request, string asked)
    {
        var vm = FindVm(state, asked) ?? throw new MgmtException(ErrorCode.QubesVMNotFoundError, "No such domain: '%s'", request.Destination);
        return row.Target switch
        {
            CallTarget.Dom0 when vm.Class != VmClass.AdminVM => throw new MgmtException(ErrorCode.ProtocolError, "expected destination to be AdminVM"),
            CallTarget.Vm when vm.Class == VmClass.AdminVM => throw new MgmtException(ErrorCode.ProtocolError, "expected destination to not be AdminVM"),
            _ => vm,
        };
    }

    internal static VmRecord? FindVm(HostState state, string nameOrUuid)
    {
        if (SnapshotDirectory.IsUuid(nameOrUuid))
        {
            return Guid.TryParseExact(nameOrUuid.AsSpan(5), "D", out var uuid) ? state.Find(uuid) : null;
        }
        if (nameOrUuid == "@adminvm")
        {
            return state.Find(VmName.Dom0);
        }
        return VmName.TryParse(nameOrUuid) is { } name ? state.Find(name) : null;
    }

    private static void Check(string destination)
    {
        if (!SnapshotDirectory.IsUuid(destination))
        {
            VmName.Parse(destination);
        }
        else if (!Guid.TryParseExact(destination.AsSpan(5), "D", out var uuid) || uuid.ToString("D") != destination[5..])
        {
            throw new MgmtException(ErrorCode.QubesVMInvalidUUIDError, "VM UUID is not valid: '%s'", destination);
        }
    }
}
