using System.Globalization;
using System.Text;

namespace Mgmt.Api;

/// <summary>Storage pools: adding, removing, settings, checks.</summary>
public sealed class PoolChangeCalls(PoolOperations pools) : ICallGroup
{
    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("pool.Add", CallTarget.Dom0, CallAccess.Write, CallScope.Host, ArgumentRule.Required("driver"), PayloadRule.Required("`name=<pool>\\n<property>=<value>\\n`…"), CallDialects.Both,
            "Adds a pool, with the parameters that its driver takes.", Add),
        new("pool.Remove", CallTarget.Dom0, CallAccess.Write, CallScope.Host, ArgumentRule.Required("pool"), PayloadRule.None, CallDialects.Both,
            "Removes a pool that nothing uses; what is on its disk stays.", Remove),
        new("pool.Set.revisions_to_keep", CallTarget.Dom0, CallAccess.Write, CallScope.Host, ArgumentRule.Required("pool"), PayloadRule.Required("number, -1 or more"), CallDialects.Both,
            "How many revisions are kept of volumes that say nothing.", SetRevisionsToKeep),
        new("pool.Set.ephemeral_volatile", CallTarget.Dom0, CallAccess.Write, CallScope.Host, ArgumentRule.Required("pool"), PayloadRule.Required("truth value"), CallDialects.Both,
            "Whether new volumes that keep nothing are ephemeral.", SetEphemeralVolatile),
        new("pool.UsageDetails", CallTarget.Dom0, CallAccess.Read, CallScope.Host, ArgumentRule.Required("pool"), PayloadRule.None, CallDialects.Both,
            "A pool's capacity and use in bytes.", UsageDetails) { Returns = "`data_size=`, `data_usage=`, `metadata_size=`, `metadata_usage=`: those that are known, a line each" },
        new("pool.Check", CallTarget.Dom0, CallAccess.Write, CallScope.Host, ArgumentRule.Required("pool"), PayloadRule.Optional("`mend`"), CallDialects.Mgmt,
            "Compares a pool with the records; mend finishes or takes back unfinished work and puts recorded sizes right.", Check)
            { Returns = "`<kind> <what> mended=<yes or no> <message>\\n`" },
    ];

    private async ValueTask<ReadOnlyMemory<byte>> Add(CallContext call, CancellationToken cancellation)
    {
        var keys = VolumePayloads.Keys(call.PayloadText("payload"));
        var name = keys.Remove("name", out var text) ? PoolName.Parse(text) : throw new MgmtException(ErrorCode.ProtocolError, "expected name= in the payload");
        await pools.AddAsync(name, call.Argument, keys, cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> Remove(CallContext call, CancellationToken cancellation)
    {
        await pools.RemoveAsync(PoolName.Parse(call.Argument), cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> SetRevisionsToKeep(CallContext call, CancellationToken cancellation)
    {
        var count = VolumePayloads.RevisionsToKeep(call.PayloadText("revisions_to_keep"));
        await pools.SetAsync(PoolName.Parse(call.Argument), "revisions_to_keep", count.ToString(CultureInfo.InvariantCulture), cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> SetEphemeralVolatile(CallContext call, CancellationToken cancellation)
    {
        var value = Parse.Boolean(call.PayloadText("ephemeral_volatile"), "ephemeral_volatile");
        await pools.SetAsync(PoolName.Parse(call.Argument), "ephemeral_volatile", Parse.Text(value), cancellation);
        return Content.Empty;
    }

    private ValueTask<ReadOnlyMemory<byte>> UsageDetails(CallContext call, CancellationToken cancellation)
    {
        var usage = pools.Get(PoolName.Parse(call.Argument)).Usage;
        var text = new StringBuilder();
        Line(text, "data_size", usage.SizeBytes);
        Line(text, "data_usage", usage.UsedBytes);
        Line(text, "metadata_size", usage.MetadataSizeBytes);
        Line(text, "metadata_usage", usage.MetadataUsedBytes);
        return new(Content.Text(text.ToString()));
    }

    private async ValueTask<ReadOnlyMemory<byte>> Check(CallContext call, CancellationToken cancellation)
    {
        var mend = call.PayloadText("payload") switch
        {
            "" => false,
            "mend" => true,
            _ => throw new MgmtException(ErrorCode.ProtocolError, "expected payload (mend) or none"),
        };
        var found = await pools.CheckAsync(PoolName.Parse(call.Argument), mend, cancellation);
        return Content.Lines(found.Select(f => $"{f.Kind} {Word(f.What)} mended={(f.Mended ? "yes" : "no")} {f.Message}"));
    }

    /// <summary>The name of a file that is not ours may hold anything.</summary>
    private static string Word(string what) => string.Concat(what.Select(c => c is > ' ' and <= '~' ? c : '_'));

    private static void Line(StringBuilder text, string key, long? value)
    {
        if (value is { } bytes)
        {
            text.Append(key).Append('=').Append(bytes).Append('\n');
        }
    }
}
