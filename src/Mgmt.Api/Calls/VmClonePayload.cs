using System.Collections.Immutable;

namespace Mgmt.Api;

/// <summary>The payload of vm.Clone and vm.CloneInPool. SHAPE: that of <see cref="VmCreatePayload"/> without the label.</summary>
internal sealed record VmClonePayload(VmName Name, PoolName? Pool, ImmutableDictionary<VolumeName, PoolName> PoolOf)
{
    /// <summary>ERRORS: ProtocolError for the shape; QubesValueError for what is in it.</summary>
    internal static VmClonePayload Parse(string text, bool pools)
    {
        var keys = VmCreatePayload.Words(text);
        var name = VmName.Parse(VmCreatePayload.Take(keys, "name"));
        var (pool, single) = VmCreatePayload.Pools(keys, pools);
        return new(name, pool, single);
    }
}
