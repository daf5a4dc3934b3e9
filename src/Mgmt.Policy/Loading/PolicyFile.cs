namespace Mgmt.Policy;

/// <summary>A file that was read: where it is, what it is called in messages, and its bytes.</summary>
internal sealed record PolicyFile(string FullPath, string Display, ReadOnlyMemory<byte> Bytes);
