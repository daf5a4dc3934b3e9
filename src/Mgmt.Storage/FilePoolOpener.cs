using System.Collections.Immutable;
using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Storage;

/// <summary>Opens file pools: the settings, the directory and its claim are the same for each format.</summary>
internal sealed class FilePoolOpener(IReadOnlyList<string> poolRoots, QemuImg qemuImg, ILogger logger, TimeProvider time, Action<string> step)
{
    private const string RevisionsParameter = "revisions_to_keep", EphemeralParameter = "ephemeral_volatile";
    private readonly PoolRoots _roots = new(poolRoots);

    /// <summary>What every file pool takes.</summary>
    internal static ImmutableArray<PoolParameter> Parameters { get; } = [new("dir_path", false), new(RevisionsParameter, false), new(EphemeralParameter, false)];

    /// <summary>What the record says, 1 when it says nothing. ERRORS: StoragePoolException.</summary>
    internal static int RevisionsToKeep(PoolRecord record)
    {
        var count = record.Config.GetValueOrDefault(RevisionsParameter) is { } text ? Parse.Number(text, RevisionsParameter, allowNegative: true) : 1;
        return count is >= -1 and <= int.MaxValue ? (int)count : throw new MgmtException(ErrorCode.StoragePoolException, "revisions_to_keep is -1 or more");
    }

    /// <summary>Opens a pool, off the caller's thread. <paramref name="check"/> refuses directories that the format cannot work in.</summary>
    internal async Task<IStoragePool> OpenAsync(PoolRecord record, IImageFormat format, Action<PoolDirectory> check, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        return await Task.Run(() => Open(record, format, check), cancellation);
    }

    private FilePool Open(PoolRecord record, IImageFormat format, Action<PoolDirectory> check)
    {
        try
        {
            _ = RevisionsToKeep(record);
            _ = record.Config.GetValueOrDefault(EphemeralParameter) is { } ephemeral && Parse.Boolean(ephemeral, EphemeralParameter);
            var path = _roots.Prepare(record);
            PoolClaims.Take(path);
            try
            {
                var directory = new PoolDirectory(path, format.Suffix, step);
                check(directory);
                return new FilePool(record, directory, format, qemuImg, logger, time, () => PoolClaims.Release(path));
            }
            catch
            {
                PoolClaims.Release(path);
                throw;
            }
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new MgmtException(failure, ErrorCode.StoragePoolException, "Cannot open pool %s: %s", record.Name.Value, failure.Message);
        }
    }
}
