using System.Text;

namespace Mgmt.Qrexec;

/// <summary>
/// What a guest calls one of its calls by, such as <c>SOCKET13</c>. SHAPE: 32 bytes, letters, digits and <c>_ . -</c> and space, then NULs to the end. It is
/// the guest's own and means nothing beyond that guest.
/// </summary>
public readonly record struct CallIdent
{
    /// <summary>Bytes on the wire.</summary>
    public const int Size = 32;

    private CallIdent(string text) => Text = text;

    /// <summary>The ident without its padding.</summary>
    public string Text { get; }

    /// <summary>Reads an ident; null when it is none, and the call is to be refused.</summary>
    public static CallIdent? TryParse(ReadOnlySpan<byte> field)
    {
        var end = field.Length == Size ? field.IndexOf((byte)0) : -1;
        if (end < 1 || field[end..].ContainsAnyExcept((byte)0))
        {
            return null;
        }
        foreach (var b in field[..end])
        {
            if (!char.IsAsciiLetterOrDigit((char)b) && b is not ((byte)'_' or (byte)'.' or (byte)'-' or (byte)' '))
            {
                return null;
            }
        }
        return new CallIdent(Encoding.ASCII.GetString(field[..end]));
    }

    /// <summary>Writes the 32 bytes.</summary>
    public void Write(Span<byte> field)
    {
        field[..Size].Clear();
        Encoding.ASCII.GetBytes(Text, field);
    }
}
