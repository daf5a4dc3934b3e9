namespace Mgmt.Core;

/// <summary>How long the steps of a VM of a test host take; zero is at once.</summary>
public sealed record VmDelays
{
    /// <summary>Until the virtual processors run, once they are told to.</summary>
    public TimeSpan Start { get; init; }
    /// <summary>From the agent's port being opened until it answers.</summary>
    public TimeSpan Agent { get; init; }
    /// <summary>From the request to shut down until the guest is off.</summary>
    public TimeSpan Shutdown { get; init; }
    /// <summary>Until the virtual processors have stopped.</summary>
    public TimeSpan Pause { get; init; }
    /// <summary>Until a killed process is gone.</summary>
    public TimeSpan Kill { get; init; }
    /// <summary>Until the process is made.</summary>
    public TimeSpan Launch { get; init; }
    /// <summary>For a disk to be copied while the VM runs.</summary>
    public TimeSpan Copy { get; init; }
    /// <summary>For the agent to freeze the guest's file systems.</summary>
    public TimeSpan Freeze { get; init; }
    /// <summary>Until it is known whether a process is still there.</summary>
    public TimeSpan Adopt { get; init; }
}
