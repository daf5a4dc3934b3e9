using Mgmt.State;

namespace Mgmt.Api;

/// <summary>
/// What lets rules name the VM that shows or plays for another: a VM whose <c>guivm</c> or <c>audiovm</c> is set to X has the tag <c>guivm-X</c> or <c>audiovm-X</c>, and
/// no other of that kind. The host's default is in no tag. SOURCE: the tags that Qubes OS sets.
/// </summary>
internal static class ServiceTags
{
    private static readonly string[] Properties = ["guivm", "audiovm"];

    /// <summary>The tags of a VM with its properties as they are now, with their events.</summary>
    internal static void Follow(IStateTransaction change, VmName name)
    {
        foreach (var property in Properties)
        {
            Follow(change, name, property);
        }
    }

    /// <summary>The same after a change of one property; any but these two changes nothing.</summary>
    internal static void Follow(IStateTransaction change, VmName name, string property)
    {
        if (!Properties.Contains(property))
        {
            return;
        }
        var vm = change.State.Get(name);
        var wanted = vm.Property(property) is { Length: > 0 } other ? TagName.Parse($"{property}-{other}") : (TagName?)null;
        foreach (var tag in vm.Tags.Where(tag => tag != wanted && tag.Value.StartsWith(property + "-", StringComparison.Ordinal)).ToList())
        {
            vm = Put(change, vm with { Tags = vm.Tags.Remove(tag) }, "domain-tag-delete:", tag);
        }
        if (wanted is { } one && !vm.Tags.Contains(one))
        {
            Put(change, vm with { Tags = vm.Tags.Add(one) }, "domain-tag-add:", one);
        }
    }

    private static VmRecord Put(IStateTransaction change, VmRecord vm, string happened, TagName tag)
    {
        change.PutVm(vm);
        change.Emit(MgmtEvent.Of(vm.Name, happened + tag, ("tag", tag.Value)));
        return vm;
    }
}
