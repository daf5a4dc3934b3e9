using System.Collections.Immutable;
using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Policy;

/// <summary>Calls back, on any thread, when something changes in the directories a set is made of.</summary>
internal sealed class PolicyWatcher(Action changed, ILogger logger) : IDisposable
{
    // One watch. The inode tells a directory from another one that has taken its place, which the old watch does not see.
    private readonly record struct Key(string Path, bool Deep, string Filter, ulong Inode);

    private readonly Dictionary<Key, FileSystemWatcher> _watchers = [];

    /// <summary>
    /// Watches exactly what is named: a policy directory with all below it, an include directory alone, and of each the
    /// entry in its parent, so that one that appears or is replaced is noticed.
    /// </summary>
    /// <returns>Whether a watch was added: what happened before it must be looked for.</returns>
    public bool Watch(ImmutableArray<PolicyDirectory> directories, ImmutableArray<string> includeDirectories)
    {
        var wanted = new HashSet<Key>();
        foreach (var directory in directories)
            Want(wanted, directory.Path, deep: true);
        foreach (var directory in includeDirectories)
        {
            if (!directories.Any(d => directory == d.Path || directory.StartsWith(d.Path + "/", StringComparison.Ordinal)))
                Want(wanted, directory, deep: false);
        }
        foreach (var gone in _watchers.Keys.Where(key => !wanted.Contains(key)).ToList())
            Remove(gone);
        var added = false;
        foreach (var key in wanted.Where(key => !_watchers.ContainsKey(key)).ToList())
            added |= Add(key);
        return added;
    }

    public void Dispose()
    {
        foreach (var watcher in _watchers.Values)
            watcher.Dispose();
        _watchers.Clear();
    }

    private static void Want(HashSet<Key> wanted, string directory, bool deep)
    {
        if (Identify(directory) is { } inode)
            wanted.Add(new Key(directory, deep, "*", inode));
        // The nearest parent there is, and in it only the entry that leads to the directory.
        var entry = directory;
        while (Path.GetDirectoryName(entry) is { } parent)
        {
            if (Identify(parent) is { } parentInode)
            {
                wanted.Add(new Key(parent, false, Path.GetFileName(entry), parentInode));
                return;
            }
            entry = parent;
        }
    }

    private static ulong? Identify(string directory) =>
        Directory.Exists(directory) && FileStat.TryOf(directory, followLinks: true, out var stat) ? stat.Inode : null;

    private void Remove(Key key)
    {
        if (_watchers.Remove(key, out var watcher))
            watcher.Dispose();
    }

    private bool Add(Key key)
    {
        try
        {
            var watcher = new FileSystemWatcher(key.Path, key.Filter)
            {
                IncludeSubdirectories = key.Deep,
                NotifyFilter = NotifyFilters.FileName | NotifyFilters.DirectoryName | NotifyFilters.LastWrite | NotifyFilters.Attributes | NotifyFilters.Size,
            };
            _watchers[key] = watcher;
            watcher.Changed += (_, _) => changed();
            watcher.Created += (_, _) => changed();
            watcher.Deleted += (_, _) => changed();
            watcher.Renamed += (_, _) => changed();
            // Events were lost: look at the files.
            watcher.Error += (_, _) => changed();
            watcher.EnableRaisingEvents = true;
            return true;
        }
        catch (Exception e) when (e is IOException or ArgumentException or UnauthorizedAccessException)
        {
            Remove(key);
            Log.NotWatched(logger, e, key.Path);
            return false;
        }
    }
}
