using System.Globalization;
using System.Net;

namespace Mgmt.Api;

/// <summary>How property values are checked. All give the canonical text or throw QubesPropertyValueError, or QubesValueError for what is not of the type at all.</summary>
internal static class PropertyParsers
{
    internal static MgmtException Bad(string template, params ReadOnlySpan<string> fields) => new(ErrorCode.QubesPropertyValueError, template, fields);

    internal static Func<PropertyScope, string, string> Int(string name, int min, int max) => (_, text) =>
    {
        if (Number(text) is not { } value)
        {
            throw new MgmtException(ErrorCode.QubesValueError, "Failed to parse property value as int: %s takes a decimal number", name);
        }
        return value >= min && value <= max
            ? value.ToString(CultureInfo.InvariantCulture)
            : throw Bad(value < min && min == 1 ? "%s must be positive" : "%s is out of range (%s to %s)", value < min && min == 1 ? [name] : [name, Number(min), Number(max)]);
    };

    internal static string Bool(PropertyScope scope, string text) => Core.Parse.Text(Core.Parse.Boolean(text, "property"));

    internal static string Label(PropertyScope scope, string text) => scope.State.Labels.ContainsKey(LabelName.Parse(text))
        ? text
        : throw new MgmtException(ErrorCode.QubesLabelNotFoundError, "Label does not exist: %s", text);

    internal static Func<PropertyScope, string, string> Word(string name, int maxLength) => (_, text) =>
        text.Length is > 0 && text.Length <= maxLength && Charset.IsAll(text, Charset.Word)
            ? text
            : throw Bad("%s takes letters, digits, _ . - and at most %s characters", name, Number(maxLength));

    internal static string Printable(PropertyScope scope, string text) => text.Length <= 4096 && !text.AsSpan().ContainsAnyExceptInRange(' ', '~')
        ? text
        : throw Bad("Invalid characters in property value");

    internal static Func<PropertyScope, string, string> OneOf(string name, params string[] words) => (_, text) => words.Contains(text)
        ? text
        : throw Bad("%s is one of: %s", name, string.Join(", ", words));

    internal static string Address(PropertyScope scope, string text) => IPAddress.TryParse(text, out var ip) && ip.ToString() == text && ip.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork
        ? text
        : throw Bad("ip is an IPv4 address such as 10.137.0.5");

    internal static string Mac(PropertyScope scope, string text)
    {
        var lower = text.ToLowerInvariant();
        var ok = lower.Length == 17 && Enumerable.Range(0, 17).All(i => i % 3 == 2 ? lower[i] == ':' : char.IsAsciiHexDigitLower(lower[i]));
        return ok && (Convert.ToByte(lower[..2], 16) & 1) == 0 ? lower : throw Bad("mac is six pairs of hexadecimal digits between colons, not a multicast address");
    }

    /// <summary>An existing VM that the check accepts, or nothing.</summary>
    internal static Func<PropertyScope, string, string> VmOrNone(string name, Func<PropertyScope, VmRecord, string?> refusal) => (scope, text) =>
    {
        if (text.Length == 0)
        {
            return "";
        }
        var vm = scope.State.Find(VmName.Parse(text)) ?? throw Bad("Can't set %s to non-existing qube %s", name, text);
        return refusal(scope, vm) is { } reason ? throw Bad("Can't set %s to %s: %s", name, text, reason) : text;
    };

    internal static string Pool(PropertyScope scope, string text) => scope.State.Pools.ContainsKey(PoolName.Parse(text))
        ? text
        : throw new MgmtException(ErrorCode.QubesPoolNotFoundError, "No such pool: '%s'", text);

    // number = *space ["+" / "-"] 1*digit *("_" 1*digit) *space
    /// <summary>A decimal number as clients of Qubes OS may write it, ` +1_000 ` for 1000; null for anything else.</summary>
    internal static int? Number(string text)
    {
        var digits = text.AsSpan().Trim(" \t\n\r\v\f");
        var isGrouped = digits.Contains('_');
        if (isGrouped && (digits[0] == '_' || digits[^1] == '_' || digits.Contains("__", StringComparison.Ordinal) || digits is ['+' or '-', '_', ..]))
        {
            return null;
        }
        return int.TryParse(isGrouped ? digits.ToString().Replace("_", "", StringComparison.Ordinal) : digits, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) ? value : null;
    }

    internal static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);
}
