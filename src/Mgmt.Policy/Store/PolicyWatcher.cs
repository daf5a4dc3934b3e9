using System.Collections.Immutable;
using Microsoft.Extensions.Logging;

namespace Mgmt.Policy;

/// <summary>Calls back, on any thread, when something changes in the directories a set is made of.</summary>
internal sealed class PolicyWatcher(Action changed, ILogger logger) : IDisposable
{
    private readonly Dictionary<(string Path, bool Deep), FileSystemWatcher> _watchers = [];

    /// <summary>Watches exactly what is named; a directory that does not exist yet is awaited in its nearest existing parent.</summary>
    /// <returns>Whether a watch was added: what happened before it must be looked for.</returns>
    public bool Watch(ImmutableArray<PolicyDirectory> directories, ImmutableArray<string> includeDirectories)
    {
        var wanted = new HashSet<(string Path, bool Deep)>();
        foreach (var directory in directories)
            wanted.Add(Existing(directory.Path));
        foreach (var directory in includeDirectories)
        {
            if (!directories.Any(d => directory == d.Path || directory.StartsWith(d.Path + "/", StringComparison.Ordinal)))
                wanted.Add((Existing(directory).Path, false));
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

    private static (string Path, bool Deep) Existing(string directory)
    {
        if (Directory.Exists(directory))
            return (directory, true);
        var parent = directory;
        while (!Directory.Exists(parent))
            parent = Path.GetDirectoryName(parent) ?? "/";
        return (parent, false);
    }

    private void Remove((string Path, bool Deep) key)
    {
        if (_watchers.Remove(key, out var watcher))
            watcher.Dispose();
    }

    private bool Add((string Path, bool Deep) key)
    {
        try
        {
            var watcher = new FileSystemWatcher(key.Path)
            {
                IncludeSubdirectories = key.Deep,
                NotifyFilter = NotifyFilters.FileName | NotifyFilters.DirectoryName | NotifyFilters.LastWrite | NotifyFilters.Attributes | NotifyFilters.Size,
            };
            _watchers[key] = watcher;
            watcher.Changed += (_, _) => changed();
            watcher.Created += (_, _) => changed();
            watcher.Deleted += (_, _) => changed();
            watcher.Renamed += (_, _) => changed();
            // Lost events, or the directory itself went away: make the watch anew after a look at the files.
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
