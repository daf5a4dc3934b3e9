using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>
/// What a client sends and has to get back, from a file of this directory: <c>{ name, source, qemu?, watch?, events?, steps: [REQUEST, REPLY, …] }</c>.
/// <c>␀</c> stands for a zero byte, <c>${NAME}</c> for a value that an earlier reply gave by a group of that name. A text that begins with <c>re:</c> is a
/// pattern; everything else is compared byte for byte. A request that begins with <c>until:</c> is sent again until its reply comes. Of <c>watch</c>, the destination of an admin.Events stream, <c>events</c> are the frames after the first.
/// </summary>
public sealed record Scenario(string Name, string Source, bool OnQemu, string? Watch, IReadOnlyList<string> Events, IReadOnlyList<(string Request, string Reply)> Steps)
{
    private const char Zero = '␀';

    /// <summary>The scenarios of a file, in its order.</summary>
    public static IReadOnlyList<Scenario> Read(string file)
    {
        var path = Path.Combine(Repository.Root, "tests", "mgmtd.Tests", "Dialect", file);
        using var document = JsonDocument.Parse(File.ReadAllBytes(path), new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
        return [.. document.RootElement.EnumerateArray().Select(Read)];
    }

    /// <summary>The name, for the test's.</summary>
    public override string ToString() => Name;

    /// <summary>Text of the file as bytes.</summary>
    public static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text.Replace(Zero, '\0'));

    /// <summary>Bytes as the file writes them.</summary>
    public static string Text(byte[] bytes) => Encoding.UTF8.GetString(bytes).Replace('\0', Zero);

    /// <summary>Whether that came, as text of the file.</summary>
    public static Match Match(string expected, string actual) => Regex.Match(actual, $"^(?:{Pattern(expected)})$", RegexOptions.Singleline | RegexOptions.CultureInvariant, TimeSpan.FromSeconds(5));

    /// <summary>A text of the file as a pattern.</summary>
    public static string Pattern(string expected) => expected.StartsWith("re:", StringComparison.Ordinal) ? expected[3..] : Regex.Escape(expected);

    /// <summary>The text with the values so far in their places.</summary>
    public static string Fill(string text, IReadOnlyDictionary<string, string> values)
    {
        foreach (var (name, value) in values)
        {
            text = text.Replace($"${{{name}}}", value, StringComparison.Ordinal);
        }
        return text;
    }

    private static Scenario Read(JsonElement element)
    {
        var steps = Strings(element, "steps");
        var onQemu = element.TryGetProperty("qemu", out var flag) && flag.GetBoolean();
        var watch = element.TryGetProperty("watch", out var destination) ? destination.GetString() : null;
        return new(element.GetProperty("name").GetString()!, element.GetProperty("source").GetString()!, onQemu, watch, Strings(element, "events"),
            [.. steps.Chunk(2).Select(pair => (pair[0], pair[1]))]);
    }

    private static string[] Strings(JsonElement element, string member) => element.TryGetProperty(member, out var list) ? [.. list.EnumerateArray().Select(item => item.GetString()!)] : [];
}
