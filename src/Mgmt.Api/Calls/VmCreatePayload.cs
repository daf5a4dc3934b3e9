using System.Collections.Immutable;

namespace Mgmt.Api;

/// <summary>
/// The payload of vm.Create and vm.CreateInPool. SHAPE: words between single spaces, each KEY=VALUE: <c>name</c> and <c>label</c> once
/// each, and for CreateInPool either <c>pool</c> or any of <c>pool:root pool:private pool:volatile pool:kernel</c>.
/// </summary>
internal sealed record VmCreatePayload(VmName Name, string Label, PoolName? Pool, ImmutableDictionary<VolumeName, PoolName> PoolOf)
{
    /// <summary>ERRORS: ProtocolError for the shape; QubesValueError, QubesInvalidLabelError for what is in it.</summary>
    internal static VmCreatePayload Parse(string text, bool pools)
    {
        var keys = Words(text);
        var name = VmName.Parse(Take(keys, "name"));
        var label = LabelName.Parse(Take(keys, "label")).Value;
        var (pool, single) = Pools(keys, pools);
        return new(name, label, pool, single);
    }

    /// <summary>The words by key, each once.</summary>
    internal static Dictionary<string, string> Words(string text)
    {
        var keys = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var word in text.Split(' '))
        {
            var equals = word.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0)
            {
                throw new MgmtException(ErrorCode.ProtocolError, "expected KEY=VALUE words between single spaces in the payload");
            }
            if (!keys.TryAdd(word[..equals], word[(equals + 1)..]))
            {
                throw new MgmtException(ErrorCode.ProtocolError, "duplicate key in the payload: %s", word[..equals]);
            }
        }
        return keys;
    }

    /// <summary>The pools, the last keys there may be.</summary>
    internal static (PoolName? All, ImmutableDictionary<VolumeName, PoolName> Single) Pools(Dictionary<string, string> keys, bool pools)
    {
        var pool = pools && keys.Remove("pool", out var all) ? PoolName.Parse(all) : (PoolName?)null;
        var single = pools ? Single(keys) : ImmutableDictionary<VolumeName, PoolName>.Empty;
        if (keys.Count > 0)
        {
            throw new MgmtException(ErrorCode.ProtocolError, "unknown key in the payload: %s", keys.Keys.Order(StringComparer.Ordinal).First());
        }
        if (pools && pool is null == (single.Count == 0))
        {
            throw new MgmtException(ErrorCode.ProtocolError, "the payload needs either pool= or pool:<volume>=, not both");
        }
        return (pool, single);
    }

    internal static string Take(Dictionary<string, string> keys, string key) =>
        keys.Remove(key, out var value) ? value : throw new MgmtException(ErrorCode.ProtocolError, "missing %s= in the payload", key);

    private static ImmutableDictionary<VolumeName, PoolName> Single(Dictionary<string, string> keys)
    {
        var pools = ImmutableDictionary.CreateBuilder<VolumeName, PoolName>();
        foreach (var volume in Enum.GetValues<VolumeName>())
        {
            if (keys.Remove("pool:" + volume.Wire(), out var pool))
            {
                pools.Add(volume, PoolName.Parse(pool));
            }
        }
        return pools.ToImmutable();
    }
}
