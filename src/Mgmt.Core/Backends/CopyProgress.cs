namespace Mgmt.Core;

/// <summary>How far a copy is, in bytes. The total may change while it runs.</summary>
public readonly record struct CopyProgress(long DoneBytes, long TotalBytes);
