using System.Globalization;

namespace Mgmt.Core;

/// <summary>Numbers and truth values as they are written in payloads. SOURCE: docs/wire.md, "Names and values".</summary>
public static class Parse
{
    /// <summary>
    /// A decimal number of at most 19 digits without leading zeros. <paramref name="what"/> names it in errors.
    /// ERRORS: QubesValueError.
    /// </summary>
    public static long Number(string text, string what, bool allowNegative = false)
    {
        var digits = allowNegative && text.StartsWith('-') ? text.AsSpan(1) : text.AsSpan();
        if (digits.IsEmpty || digits.ContainsAnyExceptInRange('0', '9'))
        {
            throw new MgmtException(ErrorCode.QubesValueError, "%s contains non ASCII digits", what);
        }
        if (digits.Length > 19)
        {
            throw new MgmtException(ErrorCode.QubesValueError, "%s is bigger than 19 decimal digits", what);
        }
        if (digits.Length > 1 && digits[0] == '0')
        {
            throw new MgmtException(ErrorCode.QubesValueError, "%s contains spurious leading zeros", what);
        }
        return long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value)
            ? value
            : throw new MgmtException(ErrorCode.QubesValueError, "%s is out of range", what);
    }

    /// <summary>A truth value: 1 yes true on, 0 no false off, in any case. ERRORS: QubesValueError.</summary>
    public static bool Boolean(string text, string what) =>
        TryBoolean(text) ?? throw new MgmtException(ErrorCode.QubesValueError, "Invalid boolean value for %s", what);

    /// <summary>A truth value as <see cref="Boolean"/> takes it, or null.</summary>
    public static bool? TryBoolean(string text) => text.ToLowerInvariant() switch
    {
        "1" or "yes" or "true" or "on" => true,
        "0" or "no" or "false" or "off" => false,
        _ => null,
    };

    /// <summary>A truth value as it is written everywhere: <c>True</c> or <c>False</c>.</summary>
    public static string Text(bool value) => value ? "True" : "False";
}
