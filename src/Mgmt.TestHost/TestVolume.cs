using Mgmt.Core;

namespace Mgmt.TestHost;

/// <summary>A volume of a pool in memory. The pool's lock guards it.</summary>
internal sealed class TestVolume(TestContent content)
{
    private ulong _lastRevision;

    public TestContent Content { get; set; } = content;

    /// <summary>Oldest first.</summary>
    public List<(Revision Revision, TestContent Content)> Revisions { get; } = [];

    /// <summary>The content of the source that the run began with.</summary>
    public long? SourceContentId { get; set; }

    public bool IsInUse { get; set; }

    /// <summary>The run writes what the volume holds.</summary>
    public bool IsDirect { get; set; }

    /// <summary>What the run's disk grew to.</summary>
    public long? RunSizeBytes { get; set; }

    public Revision Keep(TestContent content, RevisionTraits traits, DateTimeOffset now)
    {
        var revision = new Revision(RevisionId.Parse($"{++_lastRevision}"), now, traits, content.SizeBytes);
        Revisions.Add((revision, content));
        return revision;
    }

    /// <summary>The oldest that are not pinned go until <paramref name="keep"/> are left; 0 and -1 prune nothing.</summary>
    public void Prune(int keep)
    {
        if (keep <= 0)
        {
            return;
        }
        var old = Revisions.Where(kept => !kept.Revision.Traits.Pinned).SkipLast(keep).Select(kept => kept.Revision.Id).ToHashSet();
        Revisions.RemoveAll(kept => old.Contains(kept.Revision.Id));
    }
}
