namespace Mgmt.Core;

/// <summary>
/// What a volume held at some time. The pool is its only record: what is on its disk is what there is.
/// </summary>
public sealed record Revision(RevisionId Id, DateTimeOffset Created, RevisionTraits Traits, long SizeBytes);

/// <summary>What is known of a revision when it is made: a caller's name for it or null, whether pruning spares it, how it was made.</summary>
public sealed record RevisionTraits(string? Name, bool Pinned, RevisionCause Cause, Quiesced Quiesced)
{
    /// <summary>A revision that the daemon makes by itself: no name, not pinned, of a volume that nobody wrote at the time.</summary>
    public static RevisionTraits Of(RevisionCause cause) => new(null, false, cause, Quiesced.Yes);
}

/// <summary>Why a revision was made. On the wire: the member's name in lower case.</summary>
public enum RevisionCause
{
    /// <summary>The VM stopped: the state before that run.</summary>
    Stop,
    /// <summary>A caller asked for it.</summary>
    Snapshot,
    /// <summary>Kept what a revert replaced.</summary>
    Revert,
    /// <summary>Kept what an import, a clone or a clear replaced.</summary>
    Import,
}

/// <summary>Whether the guest's file systems were at rest. On the wire: <c>yes</c>, <c>no</c>, <c>timed-out</c>.</summary>
public enum Quiesced
{
    /// <summary>Crash-consistent: as after a power cut.</summary>
    No,
    /// <summary>Frozen by the agent, or the volume was not in use.</summary>
    Yes,
    /// <summary>The freeze was asked for and its outcome is not certain: crash-consistent at least.</summary>
    TimedOut,
}
