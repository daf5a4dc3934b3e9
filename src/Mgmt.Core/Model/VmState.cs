namespace Mgmt.Core;

/// <summary>The power state of a VM; the member's name is the name on the wire. SOURCE: docs/lifecycle.md.</summary>
public enum VmState
{
    /// <summary>No process.</summary>
    Halted,
    /// <summary>From domain-pre-start until its virtual processors run.</summary>
    Transient,
    /// <summary>Its virtual processors run.</summary>
    Running,
    /// <summary>Its virtual processors are stopped.</summary>
    Paused,
    /// <summary>The guest suspended itself to memory.</summary>
    Suspended,
    /// <summary>Asked to shut down, not down yet.</summary>
    Halting,
    /// <summary>The process ended without having been asked; nothing cleaned up yet.</summary>
    Crashed,
    /// <summary>Unknown: a process that ought to be there does not answer.</summary>
    NA,
}
