namespace Mgmt.Policy;

/// <summary>A directory of `*.policy` files.</summary>
/// <param name="Path">Absolute path.</param>
/// <param name="MayBeMissing">Whether its absence means "no files"; otherwise it is a load error.</param>
public sealed record PolicyDirectory(string Path, bool MayBeMissing = false)
{
    /// <summary>What stands before the relative path of its files in messages and rules.</summary>
    internal string Prefix { get; init; } = "";
}
