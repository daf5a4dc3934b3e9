using System.Buffers;
using System.Text.Json;

namespace Mgmt.Core;

/// <summary>
/// A whole host as a JSON document: what host.Export gives and the test host is started from.
/// SOURCE: docs/test-host.md, "The document".
/// </summary>
public static class HostDocument
{
    /// <summary>The longest document that is read, in bytes.</summary>
    public const int MaxBytes = 16 * 1024 * 1024;

    /// <summary>How deep objects and arrays may be nested.</summary>
    public const int MaxDepth = 16;

    /// <summary>
    /// Reads a document: UTF-8 JSON; comments and trailing commas are allowed. Unknown members, wrong types, duplicate
    /// names and references to what is not there are refused, naming the JSON path. ERRORS: QubesValueError.
    /// </summary>
    public static HostDocumentContent Read(ReadOnlySpan<byte> utf8)
    {
        if (utf8.Length > MaxBytes)
        {
            throw DocumentPath.Refuse(DocumentPath.Root, $"longer than {MaxBytes} bytes");
        }
        var options = new JsonDocumentOptions { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip, MaxDepth = MaxDepth };
        try
        {
            using var document = JsonDocument.Parse(utf8.ToArray(), options);
            return new DocumentReader().Read(new DocumentNode(document.RootElement));
        }
        catch (JsonException error)
        {
            throw DocumentPath.Refuse(DocumentPath.Root, $"not JSON, or nested too deeply (line {error.LineNumber + 1}, byte {error.BytePositionInLine + 1})");
        }
    }

    /// <summary>
    /// Writes the document of a host: UTF-8, indented by two spaces, what has a name of its own sorted by code point, a newline at the end.
    /// The same state gives the same bytes. A VM that has a process is written as <c>"state": "Running"</c>.
    /// </summary>
    public static void Write(HostState state, IBufferWriter<byte> output)
    {
        using (var json = new Utf8JsonWriter(output, DocumentWriter.Options))
        {
            new DocumentWriter(json).Write(state);
        }
        output.Write("\n"u8);
    }
}
