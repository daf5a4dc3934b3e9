using System.Threading.Channels;

namespace Mgmt.Core;

/// <summary>A VM's process and the ways to talk to it. Disposing lets go of it; the process lives on.</summary>
public interface IRunningVm : IAsyncDisposable
{
    /// <summary>How to find the process again.</summary>
    VmRun Run { get; }

    /// <summary>Degraded marks from its start, such as <c>machined</c>; words as in <see cref="VmStatus.Faults"/>.</summary>
    IReadOnlyCollection<string> Faults { get; }

    /// <summary>The state of the virtual processors when it was launched or adopted: Paused, Running or Suspended.</summary>
    VmState InitialState { get; }

    /// <summary>The agent inside.</summary>
    IGuestAgent Agent { get; }

    /// <summary>The ports on which it calls the host; null when this backend has none.</summary>
    IGuestPorts? Ports => null;

    /// <summary>The number by which the kernel knows its guest's vsock connections while its process lives; null when it has no vsock.</summary>
    uint? VsockCid => null;

    /// <summary>What happens to it, in order; completed after <see cref="VmSignal.Exited"/>. One reader.</summary>
    ChannelReader<VmSignal> Signals { get; }

    /// <summary>Completes when the process is gone.</summary>
    Task<VmExit> Exited { get; }

    /// <summary>Lets the virtual processors run. ERRORS: MgmtTimeoutError, MgmtUnavailableError.</summary>
    Task ContinueAsync(CancellationToken cancellation);

    /// <summary>Stops the virtual processors. ERRORS: MgmtTimeoutError, MgmtUnavailableError.</summary>
    Task PauseAsync(CancellationToken cancellation);

    /// <summary>Presses the power button (ACPI). ERRORS: MgmtTimeoutError, MgmtUnavailableError.</summary>
    Task PressPowerButtonAsync(CancellationToken cancellation);

    /// <summary>Wakes a guest that suspended itself; returns when it was told to. ERRORS: MgmtTimeoutError, MgmtUnavailableError.</summary>
    Task WakeUpAsync(CancellationToken cancellation);

    /// <summary>
    /// Begins to copy a disk as it is at one moment into an empty image of the same size; returns when the moment is fixed. When all else is ready
    /// <paramref name="ready"/> is awaited; the moment comes next. What it throws ends the copy. Takes the target's file by a descriptor of its own. ERRORS: QubesVolumeNotFoundError (the VM has no such disk), MgmtBusyError (one is under way), MgmtTimeoutError, MgmtUnavailableError, StoragePoolException.
    /// </summary>
    Task<IDiskCopy> BeginCopyAsync(VolumeName disk, ImageLayer target, Func<Task>? ready, CancellationToken cancellation);

    /// <summary>Grows a disk; the guest sees it. ERRORS: QubesVolumeNotFoundError, MgmtTimeoutError, MgmtUnavailableError, MgmtNoSpaceError, StoragePoolException.</summary>
    Task ResizeDiskAsync(VolumeName disk, long sizeBytes, CancellationToken cancellation);

    /// <summary>
    /// Opens the serial console: what was printed last, then what is printed, until the VM ends; what is written, the guest reads. Disposing gives it back.
    /// ERRORS: MgmtBusyError (somebody has it), MgmtTimeoutError, MgmtUnavailableError.
    /// </summary>
    Task<Stream> OpenConsoleAsync(CancellationToken cancellation);

    /// <summary>Its places for devices.</summary>
    IDeviceSlots Devices => NoDeviceSlots.Instance;

    /// <summary>Ends the process by force; returns when it is proven gone. Never waits for another operation. ERRORS: MgmtTimeoutError.</summary>
    Task KillAsync(CancellationToken cancellation);

    /// <summary>CPU time used so far and memory now, from the host's view; served without waiting for the VM. Null when unknown.</summary>
    VmUsage? Usage();
}
