using Mgmt.Policy;

namespace Mgmt.Api;

/// <summary>The answers of a policy daemon, lines without a last LF. SOURCE: qrexec-policy-daemon of qubes-core-qrexec 4.4.2.</summary>
internal static class FrontEndAnswer
{
    private const string DispVm = "@dispvm:";

    internal const string Deny = "result=deny";

    internal const string JustAllow = "result=allow";

    /// <summary>A management call is delivered to dom0 with the target as its caller named it, so that it is decided and resolved there.</summary>
    internal static string ManagementCall(string requested) => $"user=DEFAULT\nresult=allow\ntarget=dom0\nautostart=True\nrequested_target={(requested.Length == 0 ? "@default" : requested)}";

    internal static string Allow(FrontEndRequest request, PolicyDecision.Allow allow, IDomainDirectory domains)
    {
        var requested = Requested(request.Target, domains);
        if (domains.Find(allow.Target) is { Type: "RemoteVM" } remote)
        {
            var lines = Lines("DEFAULT", remote.RelayVm!, Uuid("", domains.Find(remote.RelayVm!)), allow.Autostart, requested);
            return $"{lines}\nservice={remote.TransportRpc}+{remote.Name}+{request.Service}{request.Argument}{PolicySource(request)}";
        }
        var user = allow.User ?? "DEFAULT";
        if (IsDom0(allow.Target))
        {
            return Lines(user, "dom0", "", allow.Autostart, requested);
        }
        var prefix = allow.Target.StartsWith(DispVm, StringComparison.Ordinal) ? DispVm : "";
        var vm = domains.Find(allow.Target[prefix.Length..]);
        return Lines(user, prefix + (vm?.Name ?? allow.Target[prefix.Length..]), Uuid(prefix, vm), allow.Autostart, requested) + PolicySource(request);
    }

    /// <summary>Any spelling of dom0 but those that stand for no target.</summary>
    internal static bool IsDom0(string word) => word is "dom0" or "@adminvm" or "uuid:00000000-0000-0000-0000-000000000000";

    // The order is part of the format.
    private static string Lines(string user, string target, string uuid, bool autostart, string requested) =>
        $"user={user}\nresult=allow\ntarget={target}{uuid}\nautostart={Parse.Text(autostart)}\nrequested_target={requested}";

    private static string Uuid(string prefix, DomainInfo? vm) => vm is null ? "" : $"\ntarget_uuid={prefix}uuid:{vm.Uuid}";

    private static string PolicySource(FrontEndRequest request) => request.RequestedSource is { } source ? $"\npolicy_source={source}" : "";

    /// <summary>A name that nobody has was evaluated as if there were none.</summary>
    private static string Requested(string target, IDomainDirectory domains) =>
        target.Length == 0 || (!target.StartsWith('@') && !IsDom0(target) && domains.Find(target) is null) ? "@default" : target;
}
