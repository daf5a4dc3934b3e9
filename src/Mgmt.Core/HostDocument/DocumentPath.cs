using System.Text;

namespace Mgmt.Core;

/// <summary>Where something stands in a host document, such as <c>$.vms.work.volumes['root'].pool</c>, and the refusal that names it.</summary>
internal static class DocumentPath
{
    public const string Root = "$";

    private const int MaxShown = 64;

    /// <summary>The path of a member: <c>.name</c>, or <c>['name']</c> when the name has a dot or anything unusual. Names come from outside: cut, and made printable.</summary>
    public static string Member(string parent, string name)
    {
        if (name.Length is > 0 and <= MaxShown && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-'))
        {
            return $"{parent}.{name}";
        }
        var shown = new StringBuilder(MaxShown);
        foreach (var c in name.AsSpan(0, Math.Min(name.Length, MaxShown)))
        {
            shown.Append(c is >= ' ' and <= '~' and not '\'' ? c : '?');
        }
        return $"{parent}['{shown}{(name.Length > MaxShown ? "..." : "")}']";
    }

    /// <summary>The path of an entry of an array.</summary>
    public static string Item(string parent, int index) => $"{parent}[{index}]";

    /// <summary>The path of these members, from the root.</summary>
    public static string Of(params ReadOnlySpan<string> names)
    {
        var path = Root;
        foreach (var name in names)
        {
            path = Member(path, name);
        }
        return path;
    }

    public static MgmtException Refuse(string path, string reason) => new(ErrorCode.QubesValueError, "Host document, %s: %s", path, reason);
}
