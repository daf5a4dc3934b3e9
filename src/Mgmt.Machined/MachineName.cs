using System.Globalization;
using Mgmt.Core;

namespace Mgmt.Machined;

/// <summary>The names under which VMs stand in the host's registry.</summary>
public static class MachineName
{
    /// <summary>
    /// <c>mgmt-QID-NAME</c>, in NAME every byte outside <c>[a-z0-9-]</c> as <c>-</c>; at most 47 characters. A name that would
    /// end in <c>-</c> gets an <c>x</c> after it, as machined takes host names only, which end in a letter or digit. The qid keeps it unique.
    /// </summary>
    public static string For(int qid, VmName name)
    {
        var text = string.Create(CultureInfo.InvariantCulture, $"mgmt-{qid}-")
            + string.Concat(name.Value.Select(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) ? c : '-'));
        return text.EndsWith('-') ? text + "x" : text;
    }

    /// <summary>The transient unit that stands in for the machine of that name.</summary>
    internal static string Unit(string machine) => machine + ".scope";
}
