using Mgmt.Api;
using Mgmt.Core;
using Mgmt.Qrexec;
using Mgmt.Wire;

namespace Mgmt.Daemon;

/// <summary>
/// From a guest's call to a request. SHAPE of a service: <c>METHOD[+ARGUMENT]</c>; of a target: a VM's name, <c>uuid:UUID</c>, or <c>@adminvm</c>, <c>@default</c>, nothing, which all are dom0.
/// </summary>
internal static class GuestRequest
{
    /// <summary>The request of the VM whose channel it came on. Names may still be none.</summary>
    internal static CallRequest Of(TriggerService call, VmName vm)
    {
        var plus = call.Service.IndexOf('+', StringComparison.Ordinal);
        var method = plus < 0 ? call.Service : call.Service[..plus];
        var isKeyword = call.Target is "" or "@default" or "@adminvm";
        var target = !isKeyword ? call.Target : call.Target == "@adminvm" ? "adminvm" : "default";
        return new(method, plus < 0 ? "" : call.Service[(plus + 1)..], vm.Value, isKeyword, target)
        {
            // One that names itself claims nothing.
            RequestedSource = call.ClaimedSource is "" || call.ClaimedSource == vm.Value ? null : call.ClaimedSource,
        };
    }

    /// <summary>Whether a request on the socket could say the same.</summary>
    internal static bool FitsHeader(CallRequest request)
    {
        try
        {
            return HeaderBytes(request) <= RequestHeader.MaxHeaderBytes;
        }
        catch (MgmtException)
        {
            return false;
        }
    }

    /// <summary>Bytes of the header, its NUL included. ERRORS: ProtocolError for what no header can hold.</summary>
    internal static int HeaderBytes(CallRequest request) =>
        new RequestHeader(request.Method, request.Argument, request.Source, request.DestinationIsKeyword ? DestinationKind.Keyword : DestinationKind.Name, request.Destination).ToBytes().Length;

    internal static bool IsManagementCall(CallRequest request) =>
        request.Method.StartsWith("mgmt.", StringComparison.Ordinal) || request.Method.StartsWith("admin.", StringComparison.Ordinal);
}
