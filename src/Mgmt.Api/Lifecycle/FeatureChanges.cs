using Mgmt.State;

namespace Mgmt.Api;

/// <summary>Changes of features with their events, within a transaction.</summary>
internal static class FeatureChanges
{
    /// <summary>Sets a feature of a VM that is there.</summary>
    internal static void SetFeature(this IStateTransaction change, VmName name, string feature, string value)
    {
        var vm = change.State.Get(name);
        (string, string)[] pairs = vm.Features.TryGetValue(feature, out var old)
            ? [("feature", feature), ("value", value), ("oldvalue", old)]
            : [("feature", feature), ("value", value)];
        change.Emit(MgmtEvent.Of(name, "domain-feature-pre-set:" + feature, pairs));
        change.PutVm(vm with { Features = vm.Features.SetItem(feature, value) });
        change.Emit(MgmtEvent.Of(name, "domain-feature-set:" + feature, pairs));
    }

    /// <summary>Removes a feature of a VM that is there; false, with the event of the attempt, when it does not have it.</summary>
    internal static bool RemoveFeature(this IStateTransaction change, VmName name, string feature)
    {
        var vm = change.State.Get(name);
        change.Emit(MgmtEvent.Of(name, "domain-feature-pre-delete:" + feature, ("feature", feature)));
        if (!vm.Features.ContainsKey(feature))
        {
            return false;
        }
        change.PutVm(vm with { Features = vm.Features.Remove(feature) });
        change.Emit(MgmtEvent.Of(name, "domain-feature-delete:" + feature, ("feature", feature)));
        return true;
    }
}
