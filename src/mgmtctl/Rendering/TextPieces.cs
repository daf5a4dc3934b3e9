using System.Text;

namespace Mgmt.Cli.Rendering;

/// <summary>Text of others that comes in pieces, for a terminal: a character may be cut in two by a piece's end.</summary>
internal sealed class TextPieces
{
    private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();

    /// <summary>Whether what came so far ends within a line.</summary>
    public bool IsWithinLine { get; private set; }

    /// <summary>What can be shown of it now; escape sequences do nothing.</summary>
    public string Next(ReadOnlyMemory<byte> bytes)
    {
        var chars = new char[Encoding.UTF8.GetMaxCharCount(bytes.Length)];
        var text = new string(chars, 0, _decoder.GetChars(bytes.Span, chars, flush: false));
        IsWithinLine = text.Length > 0 ? !text.EndsWith('\n') : IsWithinLine;
        return PlainText.Lines(text);
    }
}
