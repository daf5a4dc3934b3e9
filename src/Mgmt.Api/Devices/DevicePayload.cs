namespace Mgmt.Api;

/// <summary>
/// What comes with a device call: words between spaces, each <c>key=value</c> or <c>key='value'</c> (<c>\'</c> for a quote). Options have <c>_</c> before their name, or in mgmt.*
/// none. Further keys: device_id, port_id, devclass, backend_domain, frontend_domain, which must be those of the call; mode; in mgmt.* persistent.
/// </summary>
internal sealed record DevicePayload(string? Mode, bool Persistent, string? DeviceId, DeviceOptions Options)
{
    /// <summary>ERRORS: ProtocolError, QubesValueError.</summary>
    internal static DevicePayload Parse(string text, DeviceArgument argument, VmName frontend, bool isMgmt)
    {
        string? mode = null;
        var persistent = false;
        var id = argument.DeviceId;
        var options = new List<KeyValuePair<string, string>>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (key, value) in Words(text))
        {
            if (!seen.Add(key))
            {
                throw new MgmtException(ErrorCode.ProtocolError, "%s is given twice", key);
            }
            switch (key)
            {
                case "mode": mode = value; break;
                case "device_id": id = value is "" or "*" ? id : Same(key, value, id ?? value); break;
                case "port_id": Same(key, value, argument.Device.Port); break;
                case "devclass": Same(key, value, argument.Device.Class.Name); break;
                case "backend_domain": Same(key, value, argument.Device.Backend.Value); break;
                case "frontend_domain": Same(key, value, frontend.Value); break;
                case "persistent" when isMgmt: persistent = Core.Parse.Boolean(value, key); break;
                case ['_', .. var option]: options.Add(new(option, value)); break;
                case var option when isMgmt: options.Add(new(option, value)); break;
                default: throw new MgmtException(ErrorCode.ProtocolError, "Unknown key in the payload: '%s'", key);
            }
        }
        return new(mode, persistent, id, DeviceOptions.Parse(argument.Device.Class, options));
    }

    /// <summary>The words of a text. ERRORS: ProtocolError.</summary>
    internal static IEnumerable<KeyValuePair<string, string>> Words(string text)
    {
        var rest = text.AsMemory().Trim();
        while (!rest.IsEmpty)
        {
            var equals = rest.Span.IndexOf('=');
            if (equals <= 0 || rest.Span[..equals].IndexOfAnyExcept(KeyCharacters) >= 0)
            {
                throw new MgmtException(ErrorCode.ProtocolError, "expected words of the form key=value or key='value' between spaces");
            }
            var key = rest[..equals].ToString();
            rest = rest[(equals + 1)..];
            var quoted = rest.Length > 0 && rest.Span[0] == '\'';
            var end = quoted ? EndOfQuoted(rest.Span) : EndOfBare(rest.Span);
            var value = quoted ? rest[1..end].ToString().Replace("\\'", "'", StringComparison.Ordinal) : rest[..end].ToString();
            rest = rest[(quoted ? end + 1 : end)..].TrimStart();
            yield return new(key, value);
        }
    }

    private static readonly System.Buffers.SearchValues<char> KeyCharacters = System.Buffers.SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.");

    private static int EndOfBare(ReadOnlySpan<char> text)
    {
        var end = text.IndexOf(' ');
        return end < 0 ? text.Length : end;
    }

    /// <summary>The quote that ends a value is followed by a space or nothing, and has no backslash before it.</summary>
    private static int EndOfQuoted(ReadOnlySpan<char> text)
    {
        for (var i = 1; i < text.Length; i++)
        {
            if (text[i] == '\'' && text[i - 1] != '\\' && (i + 1 == text.Length || text[i + 1] == ' '))
            {
                return i;
            }
        }
        throw new MgmtException(ErrorCode.ProtocolError, "a value has no closing quote");
    }

    private static string Same(string key, string value, string expected) => value == expected
        ? value
        : throw new MgmtException(ErrorCode.ProtocolError, "%s is not that of the argument", key);
}
