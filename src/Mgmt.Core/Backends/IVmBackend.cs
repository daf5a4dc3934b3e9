namespace Mgmt.Core;

/// <summary>What makes VMs run: QEMU, or the test host in memory.</summary>
public interface IVmBackend : IAsyncDisposable
{
    /// <summary>The URI it was chosen by, such as <c>qemu:///system</c>.</summary>
    string Uri { get; }

    /// <summary>Facts for Status and Info (such as <c>accelerator</c>, <c>qemu-version</c>) and why something is degraded. Served from memory.</summary>
    IReadOnlyDictionary<string, string> Describe();

    /// <summary>
    /// Makes the process of a VM with its virtual processors stopped, in a scope of its own, its control sockets connected.
    /// Takes the open files of <paramref name="launch"/> and closes them. On failure nothing is left behind.
    /// ERRORS: MgmtUnavailableError, MgmtTimeoutError, QubesMemoryError, QubesException.
    /// </summary>
    Task<IRunningVm> LaunchAsync(VmLaunch launch, CancellationToken cancellation);

    /// <summary>
    /// Finds a process of an earlier daemon again. Null: it is gone for certain.
    /// ERRORS: MgmtUnavailableError or MgmtTimeoutError when it is there and does not answer.
    /// </summary>
    Task<IRunningVm?> AdoptAsync(VmRecord vm, VmRun run, CancellationToken cancellation);

    /// <summary>Ends a process that could not be adopted and proves that it is gone. Does nothing when it is.</summary>
    Task KillAsync(VmRun run, CancellationToken cancellation);

    /// <summary>Ends and cleans up what a start that was cut off left behind: processes and directories that no run names.</summary>
    Task ReapStraysAsync(IReadOnlyCollection<VmRun> known, CancellationToken cancellation);
}
