using System.Buffers;
using System.Text;

namespace Mgmt.Core;

/// <summary>Bytes that came from outside. They become a value of ours only through a Parse method.</summary>
public readonly struct Untrusted(ReadOnlyMemory<byte> bytes)
{
    private static readonly SearchValues<byte> NonAscii = SearchValues.Create([.. Enumerable.Range(128, 128).Select(b => (byte)b)]);

    /// <summary>The bytes as they came.</summary>
    public ReadOnlyMemory<byte> Bytes => bytes;

    /// <summary>Whether there are none.</summary>
    public bool IsEmpty => bytes.IsEmpty;

    /// <summary>
    /// The bytes as ASCII text, still unchecked otherwise. <paramref name="what"/> names the value in the error.
    /// ERRORS: QubesValueError when a byte is not ASCII.
    /// </summary>
    public string Ascii(string what) => bytes.Span.ContainsAny(NonAscii)
        ? throw new MgmtException(ErrorCode.QubesValueError, "Non-ASCII bytes in %s", what)
        : Encoding.ASCII.GetString(bytes.Span);

    /// <summary>The bytes as ASCII text handed to a parser.</summary>
    public T Parse<T>(string what, Func<string, T> parse) => parse(Ascii(what));

    /// <summary>Only the length: what came from outside does not belong in logs.</summary>
    public override string ToString() => $"{bytes.Length} untrusted bytes";
}
