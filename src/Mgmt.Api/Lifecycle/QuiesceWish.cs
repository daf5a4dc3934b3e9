namespace Mgmt.Api;

/// <summary>Whether a running guest's file systems are to be at rest while its snapshot is taken. On the wire: the member's name in lower case.</summary>
public enum QuiesceWish
{
    /// <summary>Not asked: crash-consistent.</summary>
    No,
    /// <summary>If its agent can; else crash-consistent.</summary>
    Try,
    /// <summary>No snapshot otherwise.</summary>
    Yes,
}
