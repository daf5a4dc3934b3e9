using System.Collections.Immutable;
using Mgmt.Core;

namespace Mgmt.TestHost;

/// <summary>
/// A pool driver in memory, under any driver's name. <c>linux-kernel</c> is special: its pools hold the kernels that the
/// parameter <c>kernels</c> names, separated by spaces. Pools of <c>lvm_thin</c> and <c>machined</c> refuse ephemeral volumes, as the real ones do.
/// </summary>
public sealed class TestPoolDriver : IPoolDriver
{
    /// <summary>The driver of kernels pools.</summary>
    public const string KernelDriver = "linux-kernel";

    private readonly ILookup<PoolName, VolumeRecord> _volumes;
    private readonly Dictionary<(PoolName Pool, Vid Vid), VmName> _owners = [];
    private readonly TestBehaviour _behaviour;
    private readonly TimeProvider _time;

    /// <summary>A driver whose pools hold the seed's volumes when they are opened.</summary>
    public TestPoolDriver(string name, HostSeed seed, TestBehaviour behaviour, TimeProvider time)
    {
        Name = name;
        _behaviour = behaviour;
        _time = time;
        _volumes = seed.Vms.SelectMany(vm => vm.Volumes.Values).Where(volume => volume.Vid is not null).ToLookup(volume => volume.Pool);
        foreach (var vm in seed.Vms)
        {
            foreach (var volume in vm.Volumes.Values.Where(volume => volume is { Vid: not null, Name: not VolumeName.Kernel }))
            {
                _owners[(volume.Pool, volume.Vid!.Value)] = vm.Name;
            }
        }
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public ImmutableArray<PoolParameter> Parameters => Name == KernelDriver
        ? [new("kernels", false), new("dir_path", false)]
        : [new("revisions_to_keep", false), new("dir_path", false), .. CanEncrypt(Name) ? (PoolParameter[])[new("ephemeral_volatile", false)] : [], new("size", false)];

    /// <inheritdoc/>
    public Task<IStoragePool> OpenAsync(PoolRecord record, CancellationToken cancellation) => Waiting.Now<IStoragePool>(
        () => Name == KernelDriver ? new TestKernelPool(record) : new TestPool(record, _volumes[record.Name], BehaviourOf, _time),
        cancellation);

    /// <summary>Whether the real driver of that name has ephemeral volumes.</summary>
    internal static bool CanEncrypt(string driver) => driver is not ("lvm_thin" or "machined" or KernelDriver);

    private VmBehaviour BehaviourOf(VolumeRecord volume) =>
        volume.Vid is { } vid && _owners.TryGetValue((volume.Pool, vid), out var owner) ? _behaviour.For(owner) : _behaviour.Default;
}
