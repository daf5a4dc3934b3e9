using System.Globalization;
using System.Text.Json;

namespace Mgmt.Daemon;

/// <summary>The configuration file: one JSON object, comments and trailing commas allowed. An unknown setting is an error.</summary>
internal sealed class ConfigurationFile(string path, Dictionary<string, JsonElement> settings)
{
    private readonly HashSet<string> _read = [];

    internal static string DefaultPath(string? backend) => DefaultPaths.For(backend == "qemu:///session").Config;

    /// <summary>ERRORS: FormatException naming the file.</summary>
    internal static ConfigurationFile Read(string path, bool mayBeMissing)
    {
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(path), new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                throw new FormatException($"{path}: expected one JSON object");
            }
            return new(path, document.RootElement.EnumerateObject().ToDictionary(p => p.Name, p => p.Value.Clone(), StringComparer.Ordinal));
        }
        catch (Exception error) when (mayBeMissing && error is FileNotFoundException or DirectoryNotFoundException)
        {
            return new(path, []);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or JsonException or ArgumentException)
        {
            throw new FormatException($"{path}: {error.Message}", error);
        }
    }

    internal string? Text(string name) => Take(name) is { } value
        ? value.ValueKind == JsonValueKind.String ? value.GetString() : throw Bad(name, "a string")
        : null;

    internal bool? Flag(string name) => Take(name) is { } value
        ? value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : throw Bad(name, "true or false")
        : null;

    internal int? Number(string name, int min, int max) => Take(name) is { } value
        ? value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) && number >= min && number <= max
            ? number
            : throw Bad(name, string.Create(CultureInfo.InvariantCulture, $"a number from {min} to {max}"))
        : null;

    internal IReadOnlyList<string>? Texts(string name) => Take(name) is { } value
        ? value.ValueKind == JsonValueKind.Array ? [.. value.EnumerateArray().Select(e => e.ToString())] : throw Bad(name, "an array")
        : null;

    internal string? OneOf(string name, params string[] words) => Text(name) is { } text
        ? words.Contains(text) ? text : throw Bad(name, string.Join(" or ", words))
        : null;

    /// <summary>ERRORS: FormatException for a setting that nothing asked for.</summary>
    internal void RefuseUnread()
    {
        if (settings.Keys.FirstOrDefault(name => !_read.Contains(name)) is { } unknown)
        {
            throw new FormatException($"{path}: unknown setting {unknown}");
        }
    }

    private JsonElement? Take(string name)
    {
        _read.Add(name);
        return settings.TryGetValue(name, out var value) ? value : null;
    }

    private FormatException Bad(string name, string expected) => new($"{path}: {name} has to be {expected}");
}
