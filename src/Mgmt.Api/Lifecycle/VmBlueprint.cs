using System.Collections.Immutable;

namespace Mgmt.Api;

/// <summary>What a new VM is to be. Pools: all volumes in Pool, or single ones by PoolOf, else the defaults of the host.</summary>
public sealed record VmBlueprint(VmClass Class, VmName Name, string Label, string? Template, PoolName? Pool, ImmutableDictionary<VolumeName, PoolName> PoolOf)
{
    private const long GiB = 1L << 30;

    /// <summary>Of a disposable: whether it is removed when its run is over, and marked with who asked for it.</summary>
    public bool AutoCleanup { get; init; }

    /// <summary>Of a disposable: made ahead of need, for nobody yet.</summary>
    public bool IsPreload { get; init; }

    /// <summary>The volumes of its class. SOURCE: docs/storage.md, "Volumes by class".</summary>
    public ImmutableSortedDictionary<VolumeName, VolumeRecord> Volumes(HostState state, PropertyTable properties)
    {
        if (Class is VmClass.AdminVM or VmClass.RemoteVM)
        {
            return ImmutableSortedDictionary<VolumeName, VolumeRecord>.Empty;
        }
        var template = Template is null ? null : state.Get(VmName.Parse(Template));
        var disposable = Class == VmClass.DispVM;
        var root = Class is VmClass.AppVM or VmClass.DispVM
            ? Snapshot(VolumeName.Root, Of(template, VolumeName.Root))
            : Make(state, properties, VolumeName.Root, 10 * GiB, save: true);
        var own = disposable ? Snapshot(VolumeName.Private, Of(template, VolumeName.Private)) : Make(state, properties, VolumeName.Private, 2 * GiB, save: true);
        var scratch = Make(state, properties, VolumeName.Volatile, 10 * GiB, save: false);
        var kernel = new VolumeRecord
        {
            Name = VolumeName.Kernel, Pool = PoolSet.KernelPool(state), Vid = null, SizeBytes = 0, Writable = false, SaveOnStop = false, SnapOnStart = false,
        };
        return new[] { root, own, scratch, kernel }.ToImmutableSortedDictionary(v => v.Name, v => v);
    }

    private VolumeRecord Make(HostState state, PropertyTable properties, VolumeName volume, long size, bool save)
    {
        var pool = PoolFor(state, properties, volume);
        return new()
        {
            Name = volume, Pool = pool, Vid = VidOf(volume), SizeBytes = size, Writable = true, SaveOnStop = save, SnapOnStart = false,
            Ephemeral = !save && Parse.TryBoolean(state.Pools[pool].Config.GetValueOrDefault("ephemeral_volatile") ?? "") == true,
        };
    }

    /// <summary>A snapshot lives where its source does; asking for another pool is refused.</summary>
    private VolumeRecord Snapshot(VolumeName volume, VolumeRecord source)
    {
        var asked = PoolOf.TryGetValue(volume, out var own) ? own : (PoolName?)null;
        if (asked is { } pool && pool != source.Pool)
        {
            throw new MgmtException(ErrorCode.QubesException, "Volume %s is a snapshot of its template's and has to be in pool %s", volume.Wire(), source.Pool.Value);
        }
        return new()
        {
            Name = volume, Pool = source.Pool, Vid = VidOf(volume), SizeBytes = source.SizeBytes, Writable = true, SaveOnStop = false, SnapOnStart = true, Source = Origin(source),
        };
    }

    /// <summary>What a snapshot of a volume is made from: the volume itself, or, where that is a snapshot, its source.</summary>
    internal static Vid? Origin(VolumeRecord volume) => volume.SnapOnStart && !volume.SaveOnStop ? volume.Source : volume.Vid;

    private static VolumeRecord Of(VmRecord? template, VolumeName volume) => template!.Volumes.TryGetValue(volume, out var record)
        ? record
        : throw new MgmtException(ErrorCode.QubesVolumeNotFoundError, "No such volume of %s: '%s'", template.Name.Value, volume.Wire());

    private PoolName PoolFor(HostState state, PropertyTable properties, VolumeName volume)
    {
        var name = PoolOf.TryGetValue(volume, out var own) ? own : Pool ?? PoolName.Parse(properties.Text(state, null, "default_pool_" + volume.Wire()));
        return state.Pools.ContainsKey(name) ? name : throw new MgmtException(ErrorCode.QubesPoolNotFoundError, "No such pool: '%s'", name.Value);
    }

    private Vid VidOf(VolumeName volume) => VidOf(Class, Name, volume);

    /// <summary>The id of a volume of a VM that is made here.</summary>
    internal static Vid VidOf(VmClass vmClass, VmName name, VolumeName volume) =>
        Vid.Parse($"{(vmClass == VmClass.TemplateVM ? "vm-templates" : "appvms")}/{name.Value}/{volume.Wire()}");
}
