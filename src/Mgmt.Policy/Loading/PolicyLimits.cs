namespace Mgmt.Policy;

/// <summary>Bounds on what one set may cost to load; a set beyond them is a load error.</summary>
internal static class PolicyLimits
{
    public const int FileBytes = 16 * 1024 * 1024;
    public const int LineBytes = 1_000_000;
    public const int IncludeDepth = 64;
    public const int Includes = 10_000;
    public const long ExpandedBytes = 128L * 1024 * 1024;
    public const int Diagnostics = 1000;
}
