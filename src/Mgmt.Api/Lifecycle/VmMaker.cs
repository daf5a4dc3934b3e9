using System.Collections.Immutable;
using System.IO.Pipelines;
using Mgmt.State;
using Microsoft.Extensions.Logging;

namespace Mgmt.Api;

/// <summary>Makes and removes VMs.</summary>
public sealed class VmMaker(LifecycleServices services, RemovedVms removed, UnfinishedVolumes unfinished)
{
    private const int MaxQid = 65534;

    /// <summary>What a disposable does not take from the VM it is made from.</summary>
    private static readonly string[] OwnToEach = ["label", "template", "mac", "ip", "ip6", "autostart", "installed_by_rpm", "include_in_backups", "backup_timestamp", "auto_cleanup", "provides_network"];

    /// <summary>What it takes from it.</summary>
    private static readonly ImmutableArray<string> InheritedProperties =
        [.. VmProperties.All.Where(p => p.Access == PropertyAccess.Settable && p.AppliesTo(VmClass.DispVM)).Select(p => p.Name).Where(name => !OwnToEach.Contains(name))];

    /// <summary>
    /// Makes a VM and its volumes. With <paramref name="rootImage"/> the root volume gets those bytes and that size.
    /// ERRORS: QubesVMAlreadyExistsError, QubesVMNotFoundError (template), QubesPropertyValueError, QubesLabelNotFoundError, those of the pools.
    /// </summary>
    public async Task CreateAsync(VmBlueprint blueprint, string source, (PipeReader Data, long SizeBytes)? rootImage, CancellationToken cancellation)
    {
        using var gate = await services.Gates.EnterAsync(blueprint.Name, cancellation);
        var state = services.Store.Current;
        CheckFree(state, blueprint.Name);
        Check(state, blueprint);
        var volumes = blueprint.Volumes(state, services.Properties);
        if (rootImage is { } image)
        {
            volumes = volumes.SetItem(VolumeName.Root, volumes[VolumeName.Root] with { SizeBytes = image.SizeBytes });
        }
        var inWork = UnfinishedVolumes.Of(volumes.Values);
        await unfinished.BeginAsync(inWork, cancellation);
        var made = new Stack<VolumeInWork>();
        try
        {
            foreach (var volume in volumes.Values.Where(v => v.Name != VolumeName.Kernel))
            {
                var pool = services.Pools.Get(volume.Pool);
                await pool.CreateAsync(volume, cancellation);
                made.Push(new(volume.Pool, volume.Vid!.Value));
                if (rootImage is { } root && volume.Name == VolumeName.Root)
                {
                    // Nobody wants the empty volume back that the image replaces.
                    await pool.ImportAsync(volume with { RevisionsToKeep = 0 }, root.Data, root.SizeBytes, null, cancellation);
                }
            }
            await services.Store.ApplyAsync(change => Enter(change, blueprint, volumes, source), CancellationToken.None);
        }
        catch
        {
            await unfinished.EndAsync([.. inWork.Except(made)], []);
            await unfinished.RemoveAsync(made);
            throw;
        }
    }

    /// <summary>
    /// Removes a halted VM that nothing needs, its volumes, and the tags that spoke of it. ERRORS: QubesVMNotHaltedError, QubesVMInUseError.
    /// </summary>
    public async Task RemoveAsync(VmName name, CancellationToken cancellation)
    {
        using var gate = await services.Gates.EnterAsync(name, cancellation);
        var volumes = services.Vm(name).Volumes;
        var veto = await services.Store.ApplyAsync(change => TakeOut(change, name), CancellationToken.None);
        if (veto is not null)
        {
            throw veto;
        }
        await unfinished.RemoveAsync(UnfinishedVolumes.Of(volumes.Values));
    }

    internal static void CheckFree(HostState state, VmName name)
    {
        if (state.Find(name) is not null)
        {
            throw new MgmtException(ErrorCode.QubesVMAlreadyExistsError, "Qube already exists: %s", name.Value);
        }
    }

    private void Check(HostState state, VmBlueprint blueprint)
    {
        var probe = new VmRecord { Name = blueprint.Name, Class = blueprint.Class, Qid = 0, Uuid = Guid.Empty };
        var label = services.Properties.Find(probe, "label");
        label.Parse(services.Properties.Scope(state, probe), blueprint.Label);
        if (blueprint.Class is VmClass.AppVM or VmClass.DispVM)
        {
            services.Properties.Find(probe, "template").Parse(services.Properties.Scope(state, probe), blueprint.Template ?? throw new MgmtException(ErrorCode.ProtocolError, "expected an argument (template)"));
        }
        else if (blueprint.Template is not null)
        {
            throw new MgmtException(ErrorCode.ProtocolError, "unexpected argument: a %s has no template", blueprint.Class.ToString());
        }
    }

    private void Enter(IStateTransaction change, VmBlueprint blueprint, ImmutableSortedDictionary<VolumeName, VolumeRecord> volumes, string source)
    {
        // Once more, now that nobody else can change anything: what was checked may be gone.
        CheckFree(change.State, blueprint.Name);
        Check(change.State, blueprint);
        TagName[] tags = blueprint.IsPreload ? [] : blueprint.AutoCleanup ? TagsOfDisposable(source) : [TagName.CreatedBy(source)];
        var vm = new VmRecord { Name = blueprint.Name, Class = blueprint.Class, Qid = FreeQid(change.State), Uuid = Guid.NewGuid(), Volumes = volumes };
        vm = Inherit(vm, change.State, blueprint).WithProperty("label", blueprint.Label).WithProperty("template", blueprint.Template);
        vm = vm with { Tags = vm.Tags.Union(tags) };
        change.PutVm(vm);
        foreach (var volume in UnfinishedVolumes.Of(volumes.Values))
        {
            change.RemoveVolumeInWork(volume);
        }
        change.Emit(MgmtEvent.Global("domain-add", ("vm", vm.Name.Value)));
        foreach (var tag in tags)
        {
            change.Emit(MgmtEvent.Of(vm.Name, "domain-tag-add:" + tag, ("tag", tag.Value)));
        }
        ServiceTags.Follow(change, vm.Name);
        if (blueprint.IsPreload)
        {
            Preloading.Begin(change, vm.Name);
        }
        change.Emit(MgmtEvent.Of(vm.Name, "domain-create-on-disk"));
    }

    /// <summary>The tags that say who has a disposable.</summary>
    internal static TagName[] TagsOfDisposable(string requester) => [TagName.CreatedBy(requester), TagName.Parse("disp-created-by-" + requester)];

    /// <summary>A disposable begins as the VM it is made from: with its settings, features and tags, but for tags that grant.</summary>
    private static VmRecord Inherit(VmRecord vm, HostState state, VmBlueprint blueprint)
    {
        if (vm.Class != VmClass.DispVM)
        {
            return vm;
        }
        var template = state.Get(VmName.Parse(blueprint.Template!));
        foreach (var name in InheritedProperties)
        {
            vm = vm.WithProperty(name, template.Property(name));
        }
        vm = blueprint.AutoCleanup ? vm.WithProperty("auto_cleanup", "True") : vm;
        return vm with { Features = Preloading.Inherited(template), Tags = InheritedTags(template) };
    }

    /// <summary>Whether a disposable that nobody has used is what one would be that is made now, but for its volumes.</summary>
    internal static bool IsAsMadeFrom(VmRecord template, VmRecord vm) =>
        vm.Property("label") == (template.Property("label") ?? "red") && InheritedProperties.All(name => vm.Property(name) == template.Property(name))
        && InheritedTags(vm).SetEquals(InheritedTags(template)) && Preloading.Inherited(vm).Remove("internal").SequenceEqual(Preloading.Inherited(template).Remove("internal"));

    private static ImmutableSortedSet<TagName> InheritedTags(VmRecord template) => [.. template.Tags.Where(tag => !TagCalls.IsProtected(tag))];

    internal static int FreeQid(HostState state)
    {
        var used = state.Vms.Values.Select(vm => vm.Qid).ToHashSet();
        for (var qid = 1; qid <= MaxQid; qid++)
        {
            if (!used.Contains(qid))
            {
                return qid;
            }
        }
        throw new MgmtException(ErrorCode.MgmtBusyError, "There are as many VMs as there can be");
    }

    private MgmtException? TakeOut(IStateTransaction change, VmName name)
    {
        var vm = change.State.Get(name);
        if (vm.Class == VmClass.AdminVM || vm.Status.State != VmState.Halted)
        {
            return vm.Status.State == VmState.NA
                ? new(ErrorCode.MgmtUnavailableError, "The state of %s is unknown: its process does not answer; Kill ends it", name.Value)
                : new(ErrorCode.QubesVMNotHaltedError, "Domain is not powered off: '%s'", name.Value);
        }
        // The event is journalled also when the removal is refused after it.
        change.Emit(MgmtEvent.Global("domain-pre-delete", ("vm", name.Value)));
        if (UserOf(change.State, vm) is { } user)
        {
            return new(ErrorCode.QubesVMInUseError, "Domain is in use: '%s'; see %s", name.Value, user);
        }
        removed.Add(vm);
        Preloading.Unlist(change, name);
        change.RemoveVm(name);
        foreach (var volume in UnfinishedVolumes.Of(vm.Volumes.Values))
        {
            change.AddVolumeInWork(volume);
        }
        RemoveTagsOf(change, name);
        change.RemoveAssignmentsOf(name);
        change.Emit(MgmtEvent.Global("domain-delete", ("vm", name.Value)));
        return null;
    }

    /// <summary>What keeps a VM from being removed, in words, or null; <paramref name="apartFromPreloads"/> passes over disposables that were made ahead of it.</summary>
    internal static string? UserOf(HostState state, VmRecord vm, bool apartFromPreloads = false)
    {
        if (vm.Property("installed_by_rpm") == "True")
        {
            return "its property installed_by_rpm";
        }
        var ahead = apartFromPreloads ? Preloading.ListOf(vm) : [];
        foreach (var other in state.Vms.Values.Where(other => other.Name != vm.Name && !ahead.Contains(other.Name)))
        {
            if (other.Status.Devices.Keys.Any(device => device.Backend == vm.Name))
            {
                return $"devices of {other.Name}";
            }
            foreach (var property in VmProperties.All.Where(p => p.Type == PropertyType.Vm))
            {
                if (other.Property(property.Name) == vm.Name.Value)
                {
                    return $"property {property.Name} of {other.Name}";
                }
            }
        }
        return GlobalProperties.All.Where(p => p.Type == PropertyType.Vm && state.Properties.GetValueOrDefault(p.Name) == vm.Name.Value).Select(p => $"global property {p.Name}").FirstOrDefault();
    }

    /// <summary>Tags are grants: a later VM of the same name must not inherit them.</summary>
    private static void RemoveTagsOf(IStateTransaction change, VmName name)
    {
        foreach (var other in change.State.Vms.Values.ToList())
        {
            foreach (var tag in other.Tags.Where(t => t.Value == $"created-by-{name}" || t.Value == $"managed-by-{name}").ToList())
            {
                change.PutVm(change.State.Get(other.Name) with { Tags = change.State.Get(other.Name).Tags.Remove(tag) });
                change.Emit(MgmtEvent.Of(other.Name, "domain-tag-delete:" + tag, ("tag", tag.Value)));
            }
        }
    }
}
