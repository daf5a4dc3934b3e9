namespace Mgmt.Policy;

/// <summary>The words with a meaning of their own.</summary>
internal static class Spelling
{
    public const string Dom0 = "dom0";
    public const string AdminVm = "@adminvm";
    public const string Default = "@default";
    public const string DispVm = "@dispvm";
    public const string AnyVm = "@anyvm";
    public const string UuidPrefix = "uuid:";
    public const string DispVmPrefix = "@dispvm:";
    public const string DispVmTagPrefix = "@dispvm:@tag:";
    public const string TagPrefix = "@tag:";
    public const string TypePrefix = "@type:";
    public const string Dom0Uuid = "uuid:00000000-0000-0000-0000-000000000000";

    public static bool IsDom0(ReadOnlySpan<char> word) => word is AdminVm or Dom0 or Dom0Uuid;

    /// <summary>Whether a service is a call of the management API, under either of its names.</summary>
    public static bool IsManagement(string service) => service.StartsWith("mgmt.", StringComparison.Ordinal) || service.StartsWith("admin.", StringComparison.Ordinal);

    /// <summary>Whether a call that the daemon is asked runs in its target, a service of Qubes OS, and not here.</summary>
    public static bool IsServedInTarget(string service) => service.StartsWith("qubes.", StringComparison.Ordinal);

    /// <summary>A word for a message: cut short, because a line may be a megabyte.</summary>
    public static string Quote(ReadOnlySpan<char> word) => word.Length <= 80 ? $"'{word}'" : $"'{word[..80]}…'";

    /// <summary>Python's white space, which the language is defined by: .NET's and the four separators 1C-1F.</summary>
    public static bool IsSpace(char c) => c < 0x80 ? c is ' ' or (>= '\t' and <= '\r') or (>= '\x1c' and <= '\x1f') : char.IsWhiteSpace(c);
}
