namespace Mgmt.Core;

/// <summary>
/// Every error a caller can be told. The member's name is the TYPE on the wire, so clients written for Qubes OS
/// recognise theirs. Append only: a code that was given out is never reused or renumbered.
/// </summary>
public enum ErrorCode
{
    /// <summary>The policy or the caller's identity refuses; nothing else uses it.</summary>
    PermissionDenied = 1,
    /// <summary>Framing, unknown call, argument or payload that does not fit the call, wrong kind of target.</summary>
    ProtocolError = 2,
    /// <summary>A general refusal that has no class of its own.</summary>
    QubesException = 3,
    /// <summary>A value outside its charset or range.</summary>
    QubesValueError = 4,
    /// <summary>A property value that the property does not take.</summary>
    QubesPropertyValueError = 5,
    /// <summary>No such property on this holder.</summary>
    QubesNoSuchPropertyError = 6,
    /// <summary>No VM of that name.</summary>
    QubesVMNotFoundError = 7,
    /// <summary>Not a UUID in lower-case hexadecimal.</summary>
    QubesVMInvalidUUIDError = 8,
    /// <summary>A VM of that name exists.</summary>
    QubesVMAlreadyExistsError = 9,
    /// <summary>Something still uses the VM.</summary>
    QubesVMInUseError = 10,
    /// <summary>The VM is powered off.</summary>
    QubesVMNotStartedError = 11,
    /// <summary>The VM is powered off or paused.</summary>
    QubesVMNotRunningError = 12,
    /// <summary>The VM is not paused.</summary>
    QubesVMNotPausedError = 13,
    /// <summary>The VM is not suspended.</summary>
    QubesVMNotSuspendedError = 14,
    /// <summary>The VM is not powered off.</summary>
    QubesVMNotHaltedError = 15,
    /// <summary>The VM did not power off in time; it goes on running.</summary>
    QubesVMShutdownTimeoutError = 16,
    /// <summary>The VM's template is missing.</summary>
    QubesNoTemplateError = 17,
    /// <summary>Not enough memory to start the VM.</summary>
    QubesMemoryError = 18,
    /// <summary>No pool of that name.</summary>
    QubesPoolNotFoundError = 19,
    /// <summary>Volumes or defaults still use the pool.</summary>
    QubesPoolInUseError = 20,
    /// <summary>No volume of that name or id.</summary>
    QubesVolumeNotFoundError = 21,
    /// <summary>No such revision of the volume.</summary>
    QubesVolumeRevisionNotFoundError = 22,
    /// <summary>The storage driver refuses or failed.</summary>
    StoragePoolException = 23,
    /// <summary>The feature is not set.</summary>
    QubesFeatureNotFoundError = 24,
    /// <summary>The tag is not set.</summary>
    QubesTagNotFoundError = 25,
    /// <summary>Not a tag.</summary>
    QubesInvalidTagError = 26,
    /// <summary>No label of that name.</summary>
    QubesLabelNotFoundError = 27,
    /// <summary>A VM still uses the label.</summary>
    QubesLabelInUseError = 28,
    /// <summary>Not a label name.</summary>
    QubesInvalidLabelError = 29,
    /// <summary>Not a colour of the form 0xRRGGBB.</summary>
    QubesInvalidLabelValueError = 30,
    /// <summary>Not built yet, or not possible on this host.</summary>
    QubesNotImplementedError = 31,
    /// <summary>A defect of the daemon; the field is the incident id to look for in the log.</summary>
    MgmtInternalError = 32,
    /// <summary>A deadline passed.</summary>
    MgmtTimeoutError = 33,
    /// <summary>A limit is reached; try again later.</summary>
    MgmtBusyError = 34,
    /// <summary>Something the call needs does not answer or is not there.</summary>
    MgmtUnavailableError = 35,
    /// <summary>No space left.</summary>
    MgmtNoSpaceError = 36,
    /// <summary>The call was cancelled.</summary>
    MgmtCancelledError = 37,
    /// <summary>The guest or the host cannot do this.</summary>
    MgmtUnsupportedError = 38,
    /// <summary>The token to clone a volume is unknown, used or too old.</summary>
    QubesVolumeCopyTokenNotFoundError = 39,
    /// <summary>The device is neither attached nor assigned as the call needs it.</summary>
    DeviceNotAssigned = 50,
    /// <summary>A VM has the device attached.</summary>
    DeviceAlreadyAttached = 51,
    /// <summary>The VM has the device assigned.</summary>
    DeviceAlreadyAssigned = 52,
    /// <summary>Not a mode of an assignment.</summary>
    QubesUnrecognizedDeviceAssignmentMode = 53,
}
