namespace Mgmt.Policy;

/// <summary>The file being read.</summary>
/// <param name="Path">Absolute, normalised.</param>
/// <param name="Display">What it is called in messages and rules.</param>
/// <param name="Directory">The policy directory of the top-level file, which relative includes start from.</param>
/// <param name="Outside">Whether it lies outside of the policy directories, so that its text is not shown.</param>
/// <param name="Service">The call its rules are about, when it is in service format; null for the new format.</param>
/// <param name="Outer">The file that includes it.</param>
/// <param name="Depth">How many files stand around it.</param>
internal sealed record FileContext(string Path, string Display, string Directory, bool Outside, CallPattern? Service, FileContext? Outer, int Depth)
{
    /// <summary>Whether `!compat-4.0` led here.</summary>
    public bool IsLegacy { get; init; }

    public bool Encloses(string path)
    {
        for (var file = this; file is not null; file = file.Outer)
        {
            if (file.Path == path)
                return true;
        }
        return false;
    }
}
