using System.Threading.Channels;
using Microsoft.Extensions.Logging;

namespace Mgmt.Policy;

/// <summary>
/// The set in force, kept up to date with the files. A broken set never replaces it: the last good one stays, also over
/// restarts, until the files are right again.
/// </summary>
public sealed class PolicyStore : IAsyncDisposable
{
    private static readonly TimeSpan Settle = TimeSpan.FromMilliseconds(150);
    private static readonly TimeSpan LongestSettle = TimeSpan.FromSeconds(2);

    private readonly PolicySource _source;
    private readonly PolicyOptions _options;
    private readonly LastGoodFile _lastGood;
    private readonly string _lastGoodPath;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly PolicyWatcher _watcher;
    private readonly SemaphoreSlim _gate = new(1, 1);
    private readonly CancellationTokenSource _stop = new();
    // One signal is enough: it means "look again".
    private readonly Channel<bool> _signals = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly Channel<PolicySnapshot> _changes = Channel.CreateBounded<PolicySnapshot>(new BoundedChannelOptions(16) { FullMode = BoundedChannelFullMode.DropOldest });
    private readonly Task _loop;
    private volatile PolicySnapshot _current;
    private string? _savedDigest;

    /// <summary>Loads the files, or else the last good set, or else the built-in rule alone, and begins to watch.</summary>
    /// <param name="directories">The policy directories, the runtime one first.</param>
    /// <param name="options">How files become a set, and what is in force while they are broken.</param>
    /// <param name="lastGoodFile">Absolute path where the last good set is kept.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">Where loads and mistakes are told.</param>
    public PolicyStore(IReadOnlyList<PolicyDirectory> directories, PolicyOptions options, string lastGoodFile, TimeProvider time, ILogger logger)
    {
        _source = PolicySource.FromDirectories(directories);
        _options = options;
        _lastGoodPath = lastGoodFile;
        _lastGood = new LastGoodFile(lastGoodFile);
        _time = time;
        _logger = logger;
        _watcher = new PolicyWatcher(() => _signals.Writer.TryWrite(true), logger);
        // Watches come first, so that no change falls between the load and the watch.
        _watcher.Watch(_source.Directories, []);
        _current = Start();
        _loop = RunAsync(_stop.Token);
    }

    /// <summary>The set in force. Take it once per call: it changes between two reads.</summary>
    public PolicySnapshot Current => _current;

    /// <summary>Each new <see cref="Current"/>, not the first one; only the newest 16 wait to be read.</summary>
    public ChannelReader<PolicySnapshot> Changes => _changes.Reader;

    /// <summary>Looks at the files now. When it returns, <see cref="Current"/> is what they say.</summary>
    /// <param name="cancellationToken">Gives up waiting for another reload.</param>
    public async Task ReloadAsync(CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken);
        try
        {
            var load = await Task.Run(() => PolicySet.Load(_source, _options), cancellationToken);
            Apply(load);
            if (_watcher.Watch(_source.Directories, load.IncludeDirectories))
                _signals.Writer.TryWrite(true);
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>Stops watching.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _loop;
        await _gate.WaitAsync(CancellationToken.None);
        _watcher.Dispose();
        _changes.Writer.TryComplete();
        _gate.Dispose();
        _stop.Dispose();
    }

    private PolicySnapshot Start()
    {
        var load = PolicySet.Load(_source, _options);
        if (_watcher.Watch(_source.Directories, load.IncludeDirectories))
            _signals.Writer.TryWrite(true);
        if (load.Set is not null)
        {
            Save(load);
            Log.Loaded(_logger, load.Set.Digest, load.Set.RuleCount, load.Set.Files.Count);
            return new PolicySnapshot(load.Set, false, _time.GetUtcNow(), []);
        }
        var kept = _options.DenyWhenBroken ? null : Restore();
        var set = kept?.Set ?? Empty();
        Log.Broken(_logger, load.Errors.Count, set.Digest, load.Errors[0]);
        return new PolicySnapshot(set, true, kept?.Time ?? _time.GetUtcNow(), load.Errors);
    }

    private LastGoodSet? Restore()
    {
        var kept = _lastGood.Load(_options, out var problem);
        if (problem is not null)
            Log.NotRestored(_logger, _lastGoodPath, problem);
        _savedDigest = kept?.Set.Digest;
        return kept;
    }

    private PolicySet Empty()
    {
        var directories = _source.Directories.Select(directory => directory.Path).ToHashSet(StringComparer.Ordinal);
        return new PolicyLoader(new PolicySource(_source.Directories, new MemoryFiles(new Dictionary<string, ReadOnlyMemory<byte>>(), directories)), _options).Load().Set!;
    }

    private void Apply(PolicyLoad load)
    {
        var before = _current;
        var now = _time.GetUtcNow();
        PolicySnapshot after;
        if (load.Set is { } set)
        {
            Save(load);
            if (!before.Stale && before.Set.Digest == set.Digest)
                return;
            after = new PolicySnapshot(set, false, now, []);
            Log.Loaded(_logger, set.Digest, set.RuleCount, set.Files.Count);
        }
        else
        {
            if (before.Stale && before.Errors.SequenceEqual(load.Errors))
                return;
            var kept = _options.DenyWhenBroken ? Empty() : before.Set;
            after = new PolicySnapshot(kept, true, before.Stale ? before.Since : now, load.Errors);
            Log.Broken(_logger, load.Errors.Count, kept.Digest, load.Errors[0]);
        }
        _current = after;
        _changes.Writer.TryWrite(after);
    }

    private void Save(PolicyLoad load)
    {
        if (_savedDigest == load.Set!.Digest)
            return;
        try
        {
            _lastGood.Save(_source.Directories, load, load.Set.Digest, _time.GetUtcNow());
            _savedDigest = load.Set.Digest;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Log.NotSaved(_logger, e, _lastGoodPath);
        }
    }

    private async Task RunAsync(CancellationToken stop)
    {
        try
        {
            while (await _signals.Reader.WaitToReadAsync(stop))
            {
                await SettleAsync(stop);
                try
                {
                    await ReloadAsync(stop);
                }
                catch (Exception e) when (e is not OperationCanceledException)
                {
                    // Whatever it was, the set in force is whole, and the next change tries again.
                    Log.ReloadFailed(_logger, e);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // Disposed.
        }
    }

    // An editor makes several changes for one save: wait until it is quiet, but not for ever.
    private async Task SettleAsync(CancellationToken stop)
    {
        var began = _time.GetTimestamp();
        do
        {
            while (_signals.Reader.TryRead(out _))
            {
            }
            await Task.Delay(Settle, _time, stop);
        }
        while (_signals.Reader.TryPeek(out _) && _time.GetElapsedTime(began) < LongestSettle);
        while (_signals.Reader.TryRead(out _))
        {
        }
    }
}
