using System.Collections.Immutable;

namespace Mgmt.Core;

/// <summary>A kind of storage pool.</summary>
public interface IPoolDriver
{
    /// <summary>The driver's name, as pool.ListDrivers and pool.Add have it.</summary>
    string Name { get; }

    /// <summary>The parameters pool.Add takes.</summary>
    ImmutableArray<PoolParameter> Parameters { get; }

    /// <summary>Opens a configured pool; makes its directories when they are missing. ERRORS: StoragePoolException, with the reason.</summary>
    Task<IStoragePool> OpenAsync(PoolRecord record, CancellationToken cancellation);
}

/// <summary>A parameter of a pool driver; a required one has no default.</summary>
public sealed record PoolParameter(string Name, bool Required);
