using System.Collections.Immutable;
using System.Text;

namespace Mgmt.Api;

/// <summary>Storage pools.</summary>
public sealed class PoolCalls(PoolSet pools) : ICallGroup
{
    private static readonly ImmutableArray<(string Name, string Value)> Usual = [("revisions_to_keep", "1"), ("ephemeral_volatile", "False")];

    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("pool.List", CallTarget.Dom0, CallAccess.Read, CallScope.Host, ArgumentRule.OneEntry("pool"), PayloadRule.None, CallDialects.Both,
            "The storage pools.", List) { Returns = "`<pool>\\n`" },
        new("pool.ListDrivers", CallTarget.Dom0, CallAccess.Read, CallScope.Host, ArgumentRule.OneEntry("driver"), PayloadRule.None, CallDialects.Both,
            "The pool drivers and the parameters they take.", ListDrivers) { Returns = "`<driver> <parameter> …\\n`" },
        new("pool.Info", CallTarget.Dom0, CallAccess.Read, CallScope.Host, ArgumentRule.Required("pool"), PayloadRule.None, CallDialects.Both,
            "A pool's configuration and use in bytes.", Info) { Returns = "`<property>=<value>\\n`" },
    ];

    private ValueTask<ReadOnlyMemory<byte>> List(CallContext call, CancellationToken cancellation) => new(call.Argument.Length > 0
        ? Content.Lines([Find(call).Name])
        : Content.Lines(call.State.Pools.Keys));

    private ValueTask<ReadOnlyMemory<byte>> ListDrivers(CallContext call, CancellationToken cancellation)
    {
        if (call.Argument.Length == 0)
        {
            return new(Content.Lines(pools.Drivers.Values.Select(Line)));
        }
        var driver = pools.Drivers.GetValueOrDefault(call.Argument) ?? throw new MgmtException(ErrorCode.QubesPoolNotFoundError, "No such pool driver: '%s'", call.Argument);
        return new(Content.Lines([Line(driver)]));
    }

    private ValueTask<ReadOnlyMemory<byte>> Info(CallContext call, CancellationToken cancellation)
    {
        var record = Find(call);
        var values = Settings(record).SetItem("driver", record.Driver).SetItem("name", record.Name.Value);
        var text = new StringBuilder();
        foreach (var (key, value) in values)
        {
            text.Append(key).Append('=').Append(value).Append('\n');
        }
        if (pools.TryGet(record.Name)?.Usage is { } usage)
        {
            text.Append("size=").Append(usage.SizeBytes).Append("\nusage=").Append(usage.UsedBytes).Append('\n');
        }
        return new(Content.Text(text.Append("included_in=\n").ToString()));
    }

    /// <summary>What is configured, and of what clients read of every pool that can have it, what holds when nothing is said.</summary>
    private ImmutableSortedDictionary<string, string> Settings(PoolRecord record)
    {
        var settings = record.Config;
        foreach (var (name, usual) in Usual.Where(one => !record.Config.ContainsKey(one.Name) && pools.Drivers.GetValueOrDefault(record.Driver)?.Parameters.Any(p => p.Name == one.Name) == true))
        {
            settings = settings.SetItem(name, usual);
        }
        return settings;
    }

    private static string Line(IPoolDriver driver) => string.Join(' ', driver.Parameters.Select(p => p.Name).Prepend(driver.Name));

    private static PoolRecord Find(CallContext call) => call.State.Pools.GetValueOrDefault(PoolName.Parse(call.Argument))
        ?? throw new MgmtException(ErrorCode.QubesPoolNotFoundError, "No such pool: '%s'", call.Argument);
}
