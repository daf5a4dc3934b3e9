using System.Collections.Immutable;
using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Storage;

/// <summary>Pools of kernels that VMs boot: a directory per kernel. SOURCE: docs/storage.md, "Kernels".</summary>
public sealed class LinuxKernelDriver : IPoolDriver
{
    private readonly PoolRoots _roots;
    private readonly ILogger<LinuxKernelDriver> _logger;
    private readonly TimeProvider _time;

    /// <summary>Makes the driver. <paramref name="poolRoots"/> are as in <see cref="Qcow2Driver"/>.</summary>
    public LinuxKernelDriver(IReadOnlyList<string> poolRoots, ILogger<LinuxKernelDriver> logger, TimeProvider time)
    {
        _roots = new PoolRoots(poolRoots);
        _logger = logger;
        _time = time;
    }

    /// <inheritdoc/>
    public string Name => "linux-kernel";

    /// <inheritdoc/>
    public ImmutableArray<PoolParameter> Parameters { get; } = [new("dir_path", false)];

    /// <inheritdoc/>
    public async Task<IStoragePool> OpenAsync(PoolRecord record, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        return await Task.Run(() => Open(record), cancellation);
    }

    private LinuxKernelPool Open(PoolRecord record)
    {
        try
        {
            return new LinuxKernelPool(record, _roots.Prepare(record), _logger, _time);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new MgmtException(failure, ErrorCode.StoragePoolException, "Cannot open pool %s: %s", record.Name.Value, failure.Message);
        }
    }
}
