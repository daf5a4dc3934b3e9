using System.Collections.Immutable;
using Mgmt.State;

namespace Mgmt.Api;

/// <summary>Enters a copy of a VM with its events, which are those of a VM that is made and then set up call by call.</summary>
internal static class CloneEntry
{
    /// <summary>What is a VM's own and never its copy's; qid and uuid are no entries of the property table.</summary>
    private static readonly string[] OwnProperties = ["mac", "ip", "installed_by_rpm", "auto_cleanup"];

    /// <summary>ERRORS: QubesVMAlreadyExistsError, QubesVMNotFoundError; MgmtBusyError when the source's volumes are not those that were copied.</summary>
    internal static void Write(
        IStateTransaction change, VmRecord copied, ImmutableSortedDictionary<VolumeName, VolumeRecord> volumes, VmName name, string caller, IReadOnlyCollection<VolumeName> filled)
    {
        VmMaker.CheckFree(change.State, name);
        var source = change.State.Get(copied.Name);
        if (source.Uuid != copied.Uuid || source.Property("template") != copied.Property("template") || !source.Volumes.Keys.SequenceEqual(copied.Volumes.Keys)
            || source.Volumes.Values.Any(v => copied.Volumes[v.Name] is var was && (was.Pool, was.Vid, was.Source) != (v.Pool, v.Vid, v.Source)))
        {
            throw new MgmtException(ErrorCode.MgmtBusyError, "%s was changed while it was copied; try again", copied.Name.Value);
        }
        var creator = TagName.CreatedBy(caller);
        ImmutableSortedSet<TagName> tags = [.. source.Tags.Where(tag => !TagCalls.IsProtected(tag))];
        var vm = new VmRecord
        {
            Name = name, Class = source.Class, Qid = VmMaker.FreeQid(change.State), Uuid = Guid.NewGuid(), Volumes = volumes,
            Properties = source.Properties.RemoveRange(OwnProperties), Features = source.Features.RemoveRange(Preloading.OwnFeatures), Tags = tags.Add(creator),
        };
        change.PutVm(vm);
        foreach (var volume in UnfinishedVolumes.Of(volumes.Values))
        {
            change.RemoveVolumeInWork(volume);
        }
        Tell(change, vm, source.Name, creator, tags, filled);
    }

    private static void Tell(IStateTransaction change, VmRecord vm, VmName source, TagName creator, IEnumerable<TagName> tags, IEnumerable<VolumeName> filled)
    {
        change.Emit(MgmtEvent.Global("domain-add", ("vm", vm.Name.Value)));
        change.Emit(MgmtEvent.Of(vm.Name, "domain-tag-add:" + creator, ("tag", creator.Value)));
        // Label and template are given when a VM is made, and told by domain-add.
        foreach (var definition in VmProperties.All.Where(p => p.Name is not ("label" or "template") && vm.Properties.ContainsKey(p.Name)))
        {
            new PropertyEvents(vm.Name.Value, definition, null).After(change, vm.Properties[definition.Name]);
        }
        foreach (var tag in tags)
        {
            change.Emit(MgmtEvent.Of(vm.Name, "domain-tag-add:" + tag, ("tag", tag.Value)));
        }
        ServiceTags.Follow(change, vm.Name);
        foreach (var (feature, value) in vm.Features)
        {
            change.Emit(MgmtEvent.Of(vm.Name, "domain-feature-set:" + feature, ("feature", feature), ("value", value)));
        }
        change.Emit(MgmtEvent.Of(vm.Name, "domain-clone-files", ("src", source.Value)));
        foreach (var volume in filled)
        {
            change.Emit(MgmtEvent.Of(vm.Name, "volume-clone", ("volume", volume.Wire())));
        }
    }
}
