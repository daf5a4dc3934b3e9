namespace Mgmt.Policy;

// name = SERVICE [ "+" ARG ]           anything else in the directory is passed over
internal static class LegacyFileNames
{
    private static readonly string[] LeftBehind = [".rpmsave", ".rpmnew", ".swp"];

    public static bool IsTaken(string name) =>
        !name.StartsWith('.') && !name.StartsWith('+')
        && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '.' or '_' or '+')
        && !LeftBehind.Any(suffix => name.EndsWith(suffix, StringComparison.Ordinal));

    /// <summary>What a file is about: without "+" any argument.</summary>
    public static CallPattern Split(string name)
    {
        var plus = name.IndexOf('+');
        return plus < 0 ? new CallPattern(name, null) : new CallPattern(name[..plus], name[plus..]);
    }
}
