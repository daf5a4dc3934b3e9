namespace Mgmt.Policy;

/// <summary>What a name in the file system stands for.</summary>
/// <param name="IsRegularFile">Whether it is a plain file.</param>
/// <param name="Mode">Permission bits.</param>
/// <param name="Uid">The owner.</param>
/// <param name="Gid">The group.</param>
public readonly record struct FileFacts(bool IsRegularFile, UnixFileMode Mode, uint Uid, uint Gid);
