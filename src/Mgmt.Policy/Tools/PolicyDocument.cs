using System.Buffers;
using System.Collections.Immutable;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Mgmt.Core;

namespace Mgmt.Policy;

// document = { "directories": [PATH…], "listed": [PATH…], "files": [ {"path", "text"} | {"path", "outside": true} … ], "mistakes": [ {"file", "line", "column", "message"} … ] }
/// <summary>The rules in force somewhere else: the files they were read from, and the mistakes that keep newer files out. The text of files outside of the policy directories is left out.</summary>
public sealed class PolicyDocument
{
    private PolicyDocument(PolicySource source, ImmutableArray<string> directories, ImmutableArray<string> outside, ImmutableArray<PolicyDiagnostic> mistakes)
    {
        Source = source;
        Directories = directories;
        Outside = outside;
        Mistakes = mistakes;
    }

    /// <summary>The files, in memory.</summary>
    public PolicySource Source { get; }

    /// <summary>The policy directories there, the runtime one first; the last one is edited by calls.</summary>
    public IReadOnlyList<string> Directories { get; }

    /// <summary>The files whose text is missing. A set with any cannot be loaded elsewhere.</summary>
    public IReadOnlyList<string> Outside { get; }

    /// <summary>What is wrong with the files as they are now; empty when they are the ones in force.</summary>
    public IReadOnlyList<PolicyDiagnostic> Mistakes { get; }

    /// <summary>Writes what is in force, as UTF-8 JSON.</summary>
    public static void Write(PolicySnapshot inForce, IBufferWriter<byte> buffer)
    {
        ArgumentNullException.ThrowIfNull(inForce);
        using var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        var origin = inForce.Set.Origin;
        json.WriteStartObject();
        WriteList(json, "directories", origin.Directories.Select(directory => directory.Path));
        WriteList(json, "listed", origin.Listed);
        json.WriteStartArray("files");
        foreach (var file in origin.Inputs)
        {
            json.WriteStartObject();
            json.WriteString("path", file.FullPath);
            if (file.Outside)
                json.WriteBoolean("outside", true);
            else
                json.WriteString("text", file.Bytes.Span);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteStartArray("mistakes");
        foreach (var mistake in inForce.Errors)
        {
            json.WriteStartObject();
            json.WriteString("file", mistake.File);
            json.WriteNumber("line", mistake.Line);
            json.WriteNumber("column", mistake.Column);
            json.WriteString("message", mistake.Message);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>Reads it. ERRORS: QubesValueError.</summary>
    public static PolicyDocument Read(ReadOnlyMemory<byte> utf8)
    {
        try
        {
            using var json = JsonDocument.Parse(utf8);
            return Read(json.RootElement);
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException or InvalidOperationException or FormatException or ArgumentException)
        {
            throw new MgmtException(error, ErrorCode.QubesValueError, "Not a policy document: %s", error.Message);
        }
    }

    private static PolicyDocument Read(JsonElement root)
    {
        ImmutableArray<string> directories = [.. Strings(root, "directories")];
        if (directories.IsEmpty)
            throw new MgmtException(ErrorCode.QubesValueError, "Not a policy document: it has no directories");
        var files = new Dictionary<string, ReadOnlyMemory<byte>>(StringComparer.Ordinal);
        var outside = ImmutableArray.CreateBuilder<string>();
        foreach (var file in root.GetProperty("files").EnumerateArray())
        {
            var path = file.GetProperty("path").GetString()!;
            if (file.TryGetProperty("text", out var text))
                files[path] = Encoding.UTF8.GetBytes(text.GetString()!);
            else
                outside.Add(path);
        }
        var mistakes = root.GetProperty("mistakes").EnumerateArray().Select(mistake => new PolicyDiagnostic(
            mistake.GetProperty("file").GetString()!, mistake.GetProperty("line").GetInt32(), mistake.GetProperty("column").GetInt32(), mistake.GetProperty("message").GetString()!));
        var memory = new MemoryFiles(files, directories.Concat(Strings(root, "listed")).ToHashSet(StringComparer.Ordinal));
        var source = new PolicySource([.. directories.Select(path => new PolicyDirectory(path))], memory);
        return new PolicyDocument(source, directories, outside.ToImmutable(), [.. mistakes]);
    }

    private static IEnumerable<string> Strings(JsonElement root, string member) => root.GetProperty(member).EnumerateArray().Select(item => item.GetString()!);

    private static void WriteList(Utf8JsonWriter json, string name, IEnumerable<string> items)
    {
        json.WriteStartArray(name);
        foreach (var item in items)
            json.WriteStringValue(item);
        json.WriteEndArray();
    }
}
