using Mgmt.Api;
using Mgmt.Core;
using Mgmt.Policy;
using Mgmt.Qrexec;

namespace Mgmt.Daemon;

/// <summary>A service call that the policy allowed, and where to.</summary>
internal sealed record AllowedCall(GuestCall Call, CallRequest Request, VmName Vm, PolicyDecision.Allow Allow, SnapshotDirectory Directory, ActiveCall Active)
{
    private const string Dispvm = "@dispvm:";

    internal bool IsForHost => Allow.Target is "dom0" or "@adminvm" or "uuid:00000000-0000-0000-0000-000000000000";

    /// <summary>The template of the disposable that it is for; null when it is for no disposable.</summary>
    internal VmName? DispvmTemplate => Allow.Target.StartsWith(Dispvm, StringComparison.Ordinal) ? Name(Allow.Target[Dispvm.Length..]) : null;

    /// <summary>The VM that it is for; of a RemoteVM the one that relays for it.</summary>
    internal VmName Target => Name(Remote?.RelayVm ?? Allow.Target);

    /// <summary>SHAPE: <c>SERVICE+ARGUMENT</c>; to a relay <c>TRANSPORT+REMOTE+SERVICE+ARGUMENT</c>.</summary>
    internal string ServiceAtTarget => Remote is { } remote ? $"{remote.TransportRpc}+{remote.Name}+{Request.Method}+{Request.Argument}" : $"{Request.Method}+{Request.Argument}";

    private DomainInfo? Remote => Directory.Find(Allow.Target) is { Type: "RemoteVM" } remote ? remote : null;

    private VmName Name(string word) => Directory.Find(word) is { } vm ? VmName.Parse(vm.Name) : throw new MgmtException(ErrorCode.QubesVMNotFoundError, "No such domain: '%s'", word);
}

/// <summary>What an allowed call is connected to: a service of the host (null: there is none) or of a guest; disposing gives back what was taken for it.</summary>
internal sealed class Route(IService? service, Func<Task>? after) : IAsyncDisposable
{
    internal GuestService? Guest { get; set; }

    internal IService? Service => Guest ?? service;

    public async ValueTask DisposeAsync()
    {
        await (Guest?.DisposeAsync() ?? ValueTask.CompletedTask);
        await (after?.Invoke() ?? Task.CompletedTask);
    }
}
