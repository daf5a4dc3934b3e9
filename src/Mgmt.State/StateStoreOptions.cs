using Mgmt.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mgmt.State;

/// <summary>How a store is opened.</summary>
public sealed record StateStoreOptions
{
    /// <summary>The state directory; made with mode 0700 when it is missing.</summary>
    public required string Directory { get; init; }
    /// <summary>What a new store starts with; not called for one that exists. Null: nothing at all.</summary>
    public Func<HostSeed>? Seed { get; init; }
    /// <summary>How many events the journal keeps, at least 1. It may hold a twentieth more before it is pruned.</summary>
    public int JournalMaxEntries { get; init; } = 100_000;
    /// <summary>How long the journal keeps an event. The newest event is kept however old it is.</summary>
    public TimeSpan JournalMaxAge { get; init; } = TimeSpan.FromDays(7);
    /// <summary>The clock of <see cref="IStateTransaction.Now"/> and of pruning.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;
    /// <summary>Where the store reports migrations, pruning and failures.</summary>
    public ILogger Logger { get; init; } = NullLogger.Instance;
}
