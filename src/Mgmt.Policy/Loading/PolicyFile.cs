namespace Mgmt.Policy;

/// <summary>A file that was read.</summary>
/// <param name="FullPath">Where it is.</param>
/// <param name="Display">What it is called in messages.</param>
/// <param name="Bytes">What it says.</param>
/// <param name="Outside">Whether it lies outside of the policy directories, by its path or by a link, so that its text is not shown.</param>
internal sealed record PolicyFile(string FullPath, string Display, ReadOnlyMemory<byte> Bytes, bool Outside);
