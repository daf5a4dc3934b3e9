using Microsoft.Extensions.Logging;

namespace Mgmt.State;

/// <summary>
/// Removes old events in batches: by count when a twentieth too many are held, by age every <see cref="Interval"/>. The
/// newest event always stays, because the next number comes from it.
/// </summary>
internal sealed class JournalPruner
{
    // About two milliseconds of deleting, so that a change that comes meanwhile hardly waits.
    private const int BatchSize = 2_000;

    private readonly StateDatabase _database;
    private readonly EventJournal _journal;
    private readonly StateStoreOptions _options;
    private readonly ulong _slack;
    private DateTimeOffset _nextAgeCheck = DateTimeOffset.MinValue;
    private ulong _keepFrom;

    internal JournalPruner(StateDatabase database, EventJournal journal, StateStoreOptions options)
    {
        (_database, _journal, _options) = (database, journal, options);
        _slack = (ulong)options.JournalMaxEntries / 20;
        var tenth = options.JournalMaxAge / 10;
        Interval = tenth < TimeSpan.FromSeconds(1) ? TimeSpan.FromSeconds(1) : tenth > TimeSpan.FromHours(1) ? TimeSpan.FromHours(1) : tenth;
    }

    /// <summary>How often the age of events is looked at.</summary>
    internal TimeSpan Interval { get; }

    /// <summary>Removes at most one batch. True when there is more to remove. ERRORS: StateStoreException.</summary>
    internal bool PruneSome()
    {
        var (oldest, newest) = (_journal.Oldest.Sequence, _journal.Newest.Sequence);
        if (newest == 0)
        {
            return false;
        }
        var most = (ulong)_options.JournalMaxEntries;
        if (newest - oldest + 1 > most + _slack)
        {
            _keepFrom = newest - most + 1;
        }
        var now = _options.TimeProvider.GetUtcNow();
        if (now >= _nextAgeCheck)
        {
            _nextAgeCheck = now + Interval;
            _keepFrom = Math.Max(_keepFrom, Math.Min(_database.FirstEventSince(now - _options.JournalMaxAge) ?? newest, newest));
        }
        if (_keepFrom <= oldest)
        {
            return false;
        }
        var before = Math.Min(_keepFrom, oldest + BatchSize);
        // First, so that nobody is told that an event is held while it goes away.
        _journal.ForgetBefore(before);
        _database.RemoveEventsBefore(before);
        Log.Pruned(_options.Logger, before);
        return before < _keepFrom;
    }
}
