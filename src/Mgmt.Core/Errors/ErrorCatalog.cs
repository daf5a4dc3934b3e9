using System.Collections.Immutable;

namespace Mgmt.Core;

/// <summary>What each <see cref="ErrorCode"/> tells a caller; docs/errors.md is made from it.</summary>
public static class ErrorCatalog
{
    /// <summary>Every code, by number.</summary>
    public static ImmutableArray<ErrorMeaning> All { get; } =
    [
        new(ErrorCode.PermissionDenied, "The policy or the caller's identity refuses; nothing else uses it."),
        new(ErrorCode.ProtocolError, "Framing, unknown call, argument or payload that does not fit the call, wrong kind of target."),
        new(ErrorCode.QubesException, "A general refusal that has no class of its own."),
        new(ErrorCode.QubesValueError, "A value outside its charset or range."),
        new(ErrorCode.QubesPropertyValueError, "A property value that the property does not take."),
        new(ErrorCode.QubesNoSuchPropertyError, "No such property on this holder."),
        new(ErrorCode.QubesVMNotFoundError, "No VM of that name."),
        new(ErrorCode.QubesVMInvalidUUIDError, "Not a UUID in lower-case hexadecimal."),
        new(ErrorCode.QubesVMAlreadyExistsError, "A VM of that name exists."),
        new(ErrorCode.QubesVMInUseError, "Something still uses the VM."),
        new(ErrorCode.QubesVMNotStartedError, "The VM is powered off."),
        new(ErrorCode.QubesVMNotRunningError, "The VM is powered off or paused."),
        new(ErrorCode.QubesVMNotPausedError, "The VM is not paused."),
        new(ErrorCode.QubesVMNotSuspendedError, "The VM is not suspended."),
        new(ErrorCode.QubesVMNotHaltedError, "The VM is not powered off."),
        new(ErrorCode.QubesVMShutdownTimeoutError, "The VM did not power off in time; it goes on running."),
        new(ErrorCode.QubesNoTemplateError, "The VM's template is missing."),
        new(ErrorCode.QubesMemoryError, "Not enough memory to start the VM."),
        new(ErrorCode.QubesPoolNotFoundError, "No pool of that name."),
        new(ErrorCode.QubesPoolInUseError, "Volumes or defaults still use the pool."),
        new(ErrorCode.QubesVolumeNotFoundError, "No volume of that name or id."),
        new(ErrorCode.QubesVolumeRevisionNotFoundError, "No such revision of the volume."),
        new(ErrorCode.StoragePoolException, "The storage driver refuses or failed."),
        new(ErrorCode.QubesFeatureNotFoundError, "The feature is not set."),
        new(ErrorCode.QubesTagNotFoundError, "The tag is not set."),
        new(ErrorCode.QubesInvalidTagError, "Not a tag."),
        new(ErrorCode.QubesLabelNotFoundError, "No label of that name."),
        new(ErrorCode.QubesLabelInUseError, "A VM still uses the label."),
        new(ErrorCode.QubesInvalidLabelError, "Not a label name."),
        new(ErrorCode.QubesInvalidLabelValueError, "Not a colour of the form 0xRRGGBB."),
        new(ErrorCode.QubesNotImplementedError, "Not built yet, or not possible on this host."),
        new(ErrorCode.MgmtInternalError, "A defect of the daemon; the field is the incident id to look for in the log."),
        new(ErrorCode.MgmtTimeoutError, "A deadline passed."),
        new(ErrorCode.MgmtBusyError, "A limit is reached; try again later."),
        new(ErrorCode.MgmtUnavailableError, "Something the call needs does not answer or is not there."),
        new(ErrorCode.MgmtNoSpaceError, "No space left."),
        new(ErrorCode.MgmtCancelledError, "The call was cancelled."),
        new(ErrorCode.MgmtUnsupportedError, "The guest or the host cannot do this."),
        new(ErrorCode.QubesVolumeCopyTokenNotFoundError, "The token to clone a volume is unknown, used or too old."),
        new(ErrorCode.DeviceNotAssigned, "The device is neither attached nor assigned as the call needs it."),
        new(ErrorCode.DeviceAlreadyAttached, "A VM has the device attached."),
        new(ErrorCode.DeviceAlreadyAssigned, "The VM has the device assigned."),
        new(ErrorCode.QubesUnrecognizedDeviceAssignmentMode, "Not a mode of an assignment."),
    ];
}

/// <summary>A code and a sentence about it.</summary>
public sealed record ErrorMeaning(ErrorCode Code, string Meaning);
