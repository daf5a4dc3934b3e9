namespace Mgmt.Core;

/// <summary>A device that a VM is to have. DeviceId, when not null, is who has to sit at the port; another device there counts as missing.</summary>
public sealed record DeviceAssignment(DeviceAddress Device, DeviceMode Mode, DeviceOptions Options, string? DeviceId);

/// <summary>A device that a running VM has.</summary>
public sealed record DeviceAttachment(DeviceAddress Device, DeviceOptions Options);

/// <summary>A device of the host appeared, or went away.</summary>
public sealed record DeviceChange(DeviceInfo Device, bool Added);
