using System.Collections.Immutable;

namespace Mgmt.Core;

/// <summary>A configured storage pool: its driver and the driver's parameters as they were given.</summary>
public sealed record PoolRecord(PoolName Name, string Driver, ImmutableSortedDictionary<string, string> Config);
