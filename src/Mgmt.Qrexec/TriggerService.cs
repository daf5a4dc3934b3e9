using System.Text;

namespace Mgmt.Qrexec;

/// <summary>
/// A guest's call. SHAPE:
/// <code>
/// version 2   service 64, target 32, ident 32, each padded with NULs
/// version 3   target 64, ident 32, service with its NUL
/// version 4   source 64, target 64, ident 32, service with its NUL
/// </code>
/// Names are cleaned, not refused: a byte outside their charset becomes <c>_</c>, and byte 63 of a name is taken for a NUL. Claimed source: what the guest
/// says it calls for; who calls is known by the channel.
/// </summary>
public sealed record TriggerService(string ClaimedSource, string Target, CallIdent? Ident, string Service)
{
    internal const int SizeV2 = 128;
    internal const int FixedSizeV3 = 96;
    internal const int FixedSizeV4 = 160;
    private const int NameSize = 64;

    /// <summary>Whether it can be carried out: a good ident and a service that has a name. Otherwise it is refused.</summary>
    public bool IsWellFormed => Ident is not null && Service.Length > 0 && Service[0] != '+';

    /// <summary>Reads the body of a TRIGGER_SERVICE of any version. A service with an inner NUL or without its last one is empty. ERRORS: QrexecProtocolException.</summary>
    public static TriggerService Parse(MessageType type, ReadOnlySpan<byte> body) => type switch
    {
        MessageType.TriggerService when body.Length == SizeV2 =>
            new("", Name(body[64..96]), CallIdent.TryParse(body[96..]), Padded(body[..64])),
        MessageType.TriggerService3 when body.Length > FixedSizeV3 =>
            new("", Name(body[..64]), CallIdent.TryParse(body[64..96]), Terminated(body[FixedSizeV3..])),
        MessageType.TriggerService4 when body.Length > FixedSizeV4 =>
            new(Name(body[..64]), Name(body[64..128]), CallIdent.TryParse(body[128..160]), Terminated(body[FixedSizeV4..])),
        _ => throw new QrexecProtocolException($"{type} of {body.Length} bytes"),
    };

    private static string Name(ReadOnlySpan<byte> field)
    {
        var end = field[..Math.Min(field.Length, NameSize - 1)].IndexOf((byte)0);
        return Clean(field[..(end < 0 ? Math.Min(field.Length, NameSize) - 1 : end)], isName: true);
    }

    private static string Padded(ReadOnlySpan<byte> field)
    {
        var end = field.IndexOf((byte)0);
        return end < 0 ? "" : Clean(field[..end], isName: false);
    }

    private static string Terminated(ReadOnlySpan<byte> field) => field.IndexOf((byte)0) == field.Length - 1 ? Clean(field[..^1], isName: false) : "";

    private static string Clean(ReadOnlySpan<byte> text, bool isName)
    {
        var clean = new StringBuilder(text.Length);
        foreach (var b in text)
        {
            var c = (char)b;
            var ok = char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '-' || (isName ? c is '@' or ':' : c == '+');
            clean.Append(ok ? c : '_');
        }
        return clean.ToString();
    }
}
