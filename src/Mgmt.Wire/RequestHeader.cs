using System.Buffers;
using System.Globalization;
using System.Text;
using Mgmt.Core;

namespace Mgmt.Wire;

/// <summary>
/// What stands before the NUL of a request: who calls what on whom. SHAPE:
/// <code>
/// header      = call SP source SP ( "name" SP destination | "keyword" SP ( "adminvm" | "default" ) )
/// call        = method [ "+" argument ]      split at the first "+"; no "+" is an empty argument
/// method      = 1*( letter / digit / "." / "_" / "-" )
/// argument    = *( letter / digit / "_" / "." / "+" / "-" )
/// source, destination = 1*64 printable ASCII characters without space
/// </code>
/// SOURCE: docs/wire.md, "Request".
/// </summary>
/// <param name="Method">The call, such as <c>mgmt.vm.Start</c>.</param>
/// <param name="Argument">Without the leading <c>+</c>; empty when there is none.</param>
/// <param name="Source">Who calls, as the caller says; the transport decides whether it may say so.</param>
/// <param name="Kind">How the destination is named.</param>
/// <param name="Destination">A name, <c>uuid:UUID</c> as text, or the keyword.</param>
public sealed record RequestHeader(string Method, string Argument, string Source, DestinationKind Kind, string Destination)
{
    /// <summary>The longest header in bytes, its NUL not counted.</summary>
    public const int MaxHeaderBytes = 4096;

    /// <summary>The longest source or destination in characters.</summary>
    public const int MaxNameLength = 64;

    /// <summary>A call on dom0 made by dom0, the usual case for tools on the host.</summary>
    public static RequestHeader ToDom0(string method, string argument) => new(method, argument, "dom0", DestinationKind.Name, "dom0");

    /// <summary>Reads a header. ERRORS: ProtocolError, saying what is wrong and where.</summary>
    public static RequestHeader Parse(ReadOnlySpan<byte> headerWithoutNul)
    {
        if (headerWithoutNul.Length > MaxHeaderBytes)
        {
            throw Bad("longer than %s bytes", MaxHeaderBytes);
        }
        CheckBytes(headerWithoutNul);
        var fields = Encoding.ASCII.GetString(headerWithoutNul).Split(' ');
        if (fields.Length != 4)
        {
            throw Bad(fields.Length < 4 ? "missing fields, %s of 4 (call, source, kind of destination, destination)" : "too many fields, %s instead of 4", fields.Length);
        }
        var plus = fields[0].IndexOf('+', StringComparison.Ordinal);
        var header = new RequestHeader(
            plus < 0 ? fields[0] : fields[0][..plus],
            plus < 0 ? "" : fields[0][(plus + 1)..],
            fields[1],
            ParseKind(fields[2]),
            fields[3]);
        header.Check();
        return header;
    }

    /// <summary>Writes the header and its NUL; the <c>+</c> is always there. ERRORS: ProtocolError for a part that no header can hold.</summary>
    public void Write(IBufferWriter<byte> output)
    {
        Check();
        var kind = Kind == DestinationKind.Keyword ? "keyword" : "name";
        Encoding.ASCII.GetBytes($"{Method}+{Argument} {Source} {kind} {Destination}\0", output);
    }

    /// <summary>As <see cref="Write"/>, as an array.</summary>
    public byte[] ToBytes()
    {
        var output = new ArrayBufferWriter<byte>(128);
        Write(output);
        return output.WrittenSpan.ToArray();
    }

    private static DestinationKind ParseKind(string text) => text switch
    {
        "name" => DestinationKind.Name,
        "keyword" => DestinationKind.Keyword,
        _ => throw Bad("field 3 (kind of destination) is neither name nor keyword"),
    };

    private static void CheckBytes(ReadOnlySpan<byte> header)
    {
        var at = header.IndexOfAnyExceptInRange((byte)0x20, (byte)0x7e);
        if (at >= 0)
        {
            throw Bad(header[at] > 0x7e ? "byte %s is not ASCII" : "control character at byte %s", at);
        }
    }

    private void Check()
    {
        CheckWord(Method, Charset.Word, "the method");
        if (!Charset.IsAll(Argument, Charset.Argument))
        {
            throw Bad("the argument holds characters other than letters, digits and _ . + -");
        }
        CheckName(Source, "field 2 (source)");
        CheckName(Destination, "field 4 (destination)");
        if (Kind == DestinationKind.Keyword && Destination is not ("adminvm" or "default"))
        {
            throw Bad("field 4 (destination) is an unknown keyword; known are adminvm and default");
        }
        // The plus, three spaces and the kind; counted with the plus, so that what was read can also be written.
        var rest = 4 + (Kind == DestinationKind.Keyword ? "keyword".Length : "name".Length);
        if (Method.Length + Argument.Length + Source.Length + Destination.Length + rest > MaxHeaderBytes)
        {
            throw Bad("longer than %s bytes", MaxHeaderBytes);
        }
    }

    private static void CheckWord(string text, SearchValues<char> set, string what)
    {
        if (text.Length == 0)
        {
            throw Bad(what + " is empty");
        }
        if (!Charset.IsAll(text, set))
        {
            throw Bad(what + " holds characters other than letters, digits and . _ -");
        }
    }

    private static void CheckName(string text, string what)
    {
        if (text.Length is 0 or > MaxNameLength)
        {
            throw text.Length == 0 ? Bad(what + " is empty") : Bad(what + " is longer than %s characters", MaxNameLength);
        }
        if (text.AsSpan().ContainsAnyExceptInRange('!', '~'))
        {
            throw Bad(what + " holds a space, a control character or a character that is not ASCII");
        }
    }

    private static MgmtException Bad(string what) => new(ErrorCode.ProtocolError, "Request header: " + what);

    private static MgmtException Bad(string what, int number) =>
        new(ErrorCode.ProtocolError, "Request header: " + what, number.ToString(CultureInfo.InvariantCulture));
}
