using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Mgmt.Cli.Formats;

namespace Mgmt.Cli.Rendering;

/// <summary>
/// Standard output: a table that fits the terminal when there is one, else lines of cells between tabs without a
/// heading, or JSON when asked for. Cells are string, bool, long, ByteSize or null; a ByteSize
/// is readable in a table for people, and its digits elsewhere.
/// </summary>
internal sealed class Output(Terminal terminal, bool json) : IAsyncDisposable
{
    private readonly StreamWriter _writer = new(terminal.Out, new UTF8Encoding(false), leaveOpen: true) { NewLine = "\n" };

    private readonly TextPieces _pieces = new();

    public bool Json => json;

    /// <summary>A list. In JSON: an array of objects whose members are named like the columns.</summary>
    public void Table(string[] columns, IReadOnlyList<object?[]> rows)
    {
        if (json)
        {
            WriteJson(writer => WriteRows(writer, columns, rows));
        }
        else if (terminal.OutIsTerminal)
        {
            // In a method of its own, so that the library is loaded only here.
            TerminalTable.Write(_writer, terminal.Width(), columns, rows.Select(row => row.Select(cell => PlainText.OneLine(cell is ByteSize size ? size.Readable() : Text(cell))).ToArray()));
        }
        else
        {
            foreach (var row in rows)
            {
                _writer.WriteLine(string.Join('\t', row.Select(cell => PlainText.Cell(Text(cell)))));
            }
        }
    }

    /// <summary>Facts about one thing. In JSON: an object of texts. <paramref name="sizes"/>: which of them are numbers of bytes.</summary>
    public void Facts(IReadOnlyList<KeyValuePair<string, string>> facts, params string[] sizes)
    {
        if (json)
        {
            WriteJson(writer => WriteObject(writer, facts.Select(fact => KeyValuePair.Create(fact.Key, (object?)fact.Value))));
        }
        else
        {
            Table(["name", "value"], [.. facts.Select(fact => new[] { fact.Key, sizes.Contains(fact.Key) ? ByteSize.Cell(fact.Value) : fact.Value })]);
        }
    }

    /// <summary>One value. In JSON: an object with that one member.</summary>
    public void Value(string name, string value)
    {
        if (json)
        {
            Facts([new(name, value)]);
        }
        else
        {
            _writer.WriteLine(terminal.OutIsTerminal ? PlainText.Lines(value) : value);
        }
    }

    /// <summary>A line of text.</summary>
    public void Line(string text) => _writer.WriteLine(text);

    /// <summary>Text that is not a whole line yet.</summary>
    public void Part(string text) => _writer.Write(text);

    /// <summary>Cells of a line between tabs.</summary>
    public void Cells(IEnumerable<string> cells) => _writer.WriteLine(string.Join('\t', cells.Select(PlainText.Cell)));

    /// <summary>JSON from elsewhere, laid out for people when they look.</summary>
    public void Element(JsonElement element) => WriteJson(element.WriteTo);

    /// <summary>An object on a line of its own, whoever looks.</summary>
    public void JsonLine(Action<Utf8JsonWriter> write) => WriteJson(write, indented: false);

    /// <summary>Bytes as they are; on a terminal as text that ends with a newline.</summary>
    public async Task BytesAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        if (terminal.OutIsTerminal)
        {
            var text = PlainText.Lines(Encoding.UTF8.GetString(bytes.Span));
            _writer.Write(text.Length == 0 || text.EndsWith('\n') ? text : text + "\n");
            return;
        }
        await FlushAsync(cancellationToken);
        await terminal.Out.WriteAsync(bytes, cancellationToken);
    }

    /// <summary>Bytes of more that come, seen at once: as they are, on a terminal as text.</summary>
    public async Task PieceAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        if (terminal.OutIsTerminal)
        {
            _writer.Write(_pieces.Next(bytes));
        }
        await FlushAsync(cancellationToken);
        if (!terminal.OutIsTerminal)
        {
            await terminal.Out.WriteAsync(bytes, cancellationToken);
        }
    }

    /// <summary>No more of them come: on a terminal the last line is ended.</summary>
    public void EndPieces()
    {
        if (_pieces.IsWithinLine)
        {
            _writer.WriteLine();
        }
    }

    public Task FlushAsync(CancellationToken cancellationToken) => _writer.FlushAsync(cancellationToken);

    public ValueTask DisposeAsync() => _writer.DisposeAsync();

    private static string Text(object? cell) => cell switch
    {
        null => "",
        bool truth => truth ? "yes" : "no",
        _ => Convert.ToString(cell, CultureInfo.InvariantCulture)!,
    };

    private static void WriteRows(Utf8JsonWriter writer, string[] columns, IReadOnlyList<object?[]> rows)
    {
        writer.WriteStartArray();
        foreach (var row in rows)
        {
            WriteObject(writer, columns.Zip(row, KeyValuePair.Create));
        }
        writer.WriteEndArray();
    }

    private static void WriteObject(Utf8JsonWriter writer, IEnumerable<KeyValuePair<string, object?>> members)
    {
        writer.WriteStartObject();
        foreach (var (name, value) in members)
        {
            writer.WritePropertyName(name);
            switch (value)
            {
                case null: writer.WriteNullValue(); break;
                case bool truth: writer.WriteBooleanValue(truth); break;
                case ByteSize size: writer.WriteNumberValue(size.Bytes); break;
                case long number: writer.WriteNumberValue(number); break;
                default: writer.WriteStringValue(Text(value)); break;
            }
        }
        writer.WriteEndObject();
    }

    private void WriteJson(Action<Utf8JsonWriter> write) => WriteJson(write, terminal.OutIsTerminal);

    private void WriteJson(Action<Utf8JsonWriter> write, bool indented)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = indented, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            write(writer);
        }
        _writer.WriteLine(Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length));
    }
}
