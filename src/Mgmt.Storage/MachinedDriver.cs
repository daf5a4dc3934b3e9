using System.Collections.Immutable;
using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Storage;

/// <summary>The images of systemd-machined as a pool; there is one such directory on a host, so one pool. SOURCE: docs/storage.md, "Images of systemd-machined".</summary>
public sealed class MachinedDriver : IPoolDriver
{
    private readonly IMachineImages _images;
    private readonly ILogger<MachinedDriver> _logger;
    private readonly TimeProvider _time;
    private readonly Func<string> _root;
    private int _open;

    /// <summary>Makes the driver. <paramref name="root"/> gives what stands before the paths that machined names, for one in a mount namespace of its own.</summary>
    public MachinedDriver(IMachineImages images, ILogger<MachinedDriver> logger, TimeProvider time, Func<string>? root = null)
    {
        _images = images;
        _logger = logger;
        _time = time;
        _root = root ?? (() => "");
    }

    /// <inheritdoc/>
    public string Name => "machined";

    /// <inheritdoc/>
    public ImmutableArray<PoolParameter> Parameters { get; } = [];

    /// <inheritdoc/>
    /// <remarks>ERRORS: also MgmtUnavailableError and MgmtTimeoutError, while systemd-machined does not answer.</remarks>
    public async Task<IStoragePool> OpenAsync(PoolRecord record, CancellationToken cancellation)
    {
        if (Interlocked.Exchange(ref _open, 1) != 0)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "The images of systemd-machined are a pool already; pool %s would be the same ones", record.Name.Value);
        }
        try
        {
            return new MachinedPool(record, _images, await _images.ListAsync(cancellation), _root, _logger, _time, Closed);
        }
        catch
        {
            Closed();
            throw;
        }
    }

    private void Closed() => Volatile.Write(ref _open, 0);
}
