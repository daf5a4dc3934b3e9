using System.Globalization;

namespace Mgmt.Core;

/// <summary>
/// The name of a machine of the host's registry: a host name of 1 to 64 letters, digits, <c>_ . -</c>, with a letter, digit or <c>_</c> at both ends and no two dots together.
/// SOURCE: org.freedesktop.machine1(5), CreateMachine.
/// </summary>
public readonly record struct HostMachineName : IComparable<HostMachineName>
{
    private const string Host = ".host";
    private const int MaxLength = 64;
    private readonly string? _value;

    private HostMachineName(string value) => _value = value;

    /// <summary>The name as text.</summary>
    public string Value => _value ?? "";

    /// <summary>Checks a name. ERRORS: QubesValueError, also for the host itself, which machined calls <c>.host</c>.</summary>
    public static HostMachineName Parse(string text) => TryParse(text) ?? throw (text == Host
        ? new MgmtException(ErrorCode.QubesValueError, "%s is the host itself, and no machine that can be worked on here", Host)
        : new MgmtException(ErrorCode.QubesValueError, "machine name contains illegal characters"));

    /// <summary>As Parse; null for what is no name.</summary>
    public static HostMachineName? TryParse(string text) =>
        text.Length is > 0 and <= MaxLength && Charset.IsAll(text, Charset.Word) && IsEnd(text[0]) && IsEnd(text[^1]) && !text.Contains("..", StringComparison.Ordinal)
            ? new HostMachineName(text)
            : null;

    /// <summary>
    /// The machine of a VM: <c>mgmt-QID-NAME</c>, in NAME every byte outside <c>[a-z0-9-]</c> as <c>-</c>; at most 47 characters. A name that would
    /// end in <c>-</c> gets an <c>x</c> after it, as machined takes host names only, which end in a letter or digit. The qid keeps it unique.
    /// </summary>
    public static HostMachineName ForVm(int qid, VmName name)
    {
        var text = string.Create(CultureInfo.InvariantCulture, $"mgmt-{qid}-")
            + string.Concat(name.Value.Select(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) ? c : '-'));
        return new HostMachineName(text.EndsWith('-') ? text + "x" : text);
    }

    /// <summary>By code point.</summary>
    public int CompareTo(HostMachineName other) => string.CompareOrdinal(Value, other.Value);

    /// <summary>The name as text.</summary>
    public override string ToString() => Value;

    private static bool IsEnd(char c) => char.IsAsciiLetterOrDigit(c) || c == '_';
}
