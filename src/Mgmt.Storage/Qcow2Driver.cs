using System.Collections.Immutable;
using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Storage;

/// <summary>Pools whose volumes are qcow2 images in a directory of any file system. SOURCE: docs/storage.md.</summary>
public sealed class Qcow2Driver : IPoolDriver
{
    private readonly FilePoolOpener _opener;
    private readonly Qcow2Format _format;

    /// <summary>
    /// Makes the driver. <paramref name="poolRoots"/> are the absolute paths below which pools may live; a pool without dir_path is made
    /// below the first. <paramref name="qemuImg"/> is the tool's name or path.
    /// </summary>
    public Qcow2Driver(IReadOnlyList<string> poolRoots, ILogger<Qcow2Driver> logger, TimeProvider time, string qemuImg = "qemu-img")
        : this(poolRoots, logger, time, qemuImg, static _ => { })
    {
    }

    internal Qcow2Driver(IReadOnlyList<string> poolRoots, ILogger<Qcow2Driver> logger, TimeProvider time, string qemuImg, Action<string> step)
    {
        var tool = new QemuImg(qemuImg, step, logger, time);
        _opener = new FilePoolOpener(poolRoots, tool, logger, time, step);
        _format = new Qcow2Format(tool);
    }

    /// <inheritdoc/>
    public string Name => "qcow2";

    /// <inheritdoc/>
    public ImmutableArray<PoolParameter> Parameters => FilePoolOpener.Parameters;

    /// <inheritdoc/>
    public Task<IStoragePool> OpenAsync(PoolRecord record, CancellationToken cancellation) => _opener.OpenAsync(record, _format, static _ => { }, cancellation);
}
