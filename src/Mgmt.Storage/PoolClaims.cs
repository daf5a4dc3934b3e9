using Mgmt.Core;

namespace Mgmt.Storage;

/// <summary>Which directories this process has open as pools, whatever their drivers: two pools in one would clean up each other's unfinished work.</summary>
internal static class PoolClaims
{
    private static readonly Lock Gate = new();
    private static readonly HashSet<string> Open = new(StringComparer.Ordinal);

    /// <summary>ERRORS: StoragePoolException when the directory is inside or around one that is taken.</summary>
    internal static void Take(string path)
    {
        lock (Gate)
        {
            if (Open.Any(other => (path + "/").StartsWith(other + "/", StringComparison.Ordinal) || (other + "/").StartsWith(path + "/", StringComparison.Ordinal)))
            {
                throw new MgmtException(ErrorCode.StoragePoolException, "dir_path is inside or around that of another pool: %s", path);
            }
            Open.Add(path);
        }
    }

    internal static void Release(string path)
    {
        lock (Gate)
        {
            Open.Remove(path);
        }
    }
}
