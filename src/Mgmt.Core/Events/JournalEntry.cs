namespace Mgmt.Core;

/// <summary>An event with its number in the journal and the time it was committed.</summary>
public sealed record JournalEntry(ulong Sequence, DateTimeOffset Time, MgmtEvent Event);
