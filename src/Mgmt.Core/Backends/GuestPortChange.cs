namespace Mgmt.Core;

/// <summary>
/// A process in the guest opened a port, or closed it. This is told late, and of changes in quick succession only the last one; <paramref name="At"/> is when it happened, by the clock of the host, or
/// null when that is not known.
/// </summary>
public readonly record struct GuestPortChange(int Port, bool IsOpen, DateTimeOffset? At);
