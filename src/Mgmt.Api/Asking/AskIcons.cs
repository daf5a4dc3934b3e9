using System.Collections.Frozen;

namespace Mgmt.Api;

/// <summary>Names of icons as Qubes' desktops have them. An agent written for Qubes refuses to show a VM without one.</summary>
internal static class AskIcons
{
    private const string DispVm = "@dispvm:";

    /// <summary>One for each name; a VM that is not there gets one too.</summary>
    internal static IReadOnlyDictionary<string, string> For(HostState state, IEnumerable<string> names) =>
        names.Distinct(StringComparer.Ordinal).ToFrozenDictionary(name => name, name => Icon(state, name), StringComparer.Ordinal);

    private static string Icon(HostState state, string name) => name.StartsWith(DispVm, StringComparison.Ordinal)
        ? Icon(state, name[DispVm.Length..]).Replace("app", "disp", StringComparison.Ordinal)
        : Targets.FindVm(state, name) is { } vm ? VmProperties.IconOf(vm) : "appvm-black";
}
