using System.Collections.Immutable;
using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Storage;

/// <summary>Pools whose volumes are raw files on a file system that can share blocks: btrfs, or XFS made with reflink=1. SOURCE: docs/storage.md.</summary>
public sealed class FileReflinkDriver : IPoolDriver
{
    private readonly FilePoolOpener _opener;
    private readonly RawReflinkFormat _format;

    /// <summary>Makes the driver. <paramref name="poolRoots"/> and <paramref name="qemuImg"/> are as in <see cref="Qcow2Driver"/>.</summary>
    public FileReflinkDriver(IReadOnlyList<string> poolRoots, ILogger<FileReflinkDriver> logger, TimeProvider time, string qemuImg = "qemu-img")
        : this(poolRoots, logger, time, qemuImg, static _ => { })
    {
    }

    internal FileReflinkDriver(IReadOnlyList<string> poolRoots, ILogger<FileReflinkDriver> logger, TimeProvider time, string qemuImg, Action<string> step)
    {
        var tool = new QemuImg(qemuImg, step, logger, time);
        _opener = new FilePoolOpener(poolRoots, tool, logger, time, step);
        _format = new RawReflinkFormat(tool);
    }

    /// <inheritdoc/>
    public string Name => "file-reflink";

    /// <inheritdoc/>
    public ImmutableArray<PoolParameter> Parameters => FilePoolOpener.Parameters;

    /// <inheritdoc/>
    public Task<IStoragePool> OpenAsync(PoolRecord record, CancellationToken cancellation) => _opener.OpenAsync(record, _format, RequireSharing, cancellation);

    // What the file system is called says less than trying it.
    private static void RequireSharing(PoolDirectory directory)
    {
        const int BlockBytes = 4096;
        using var from = directory.NewTemp();
        using var to = directory.NewTemp();
        File.WriteAllBytes(from.Path, new byte[BlockBytes]);
        if (!FileClone.Try(from.Path, to.Path))
        {
            throw new MgmtException(
                ErrorCode.StoragePoolException,
                "dir_path is not on a file system that can share blocks (btrfs, or XFS with reflink=1); the driver qcow2 works there: %s", directory.Root);
        }
    }
}
