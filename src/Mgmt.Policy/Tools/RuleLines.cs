using System.Collections.Immutable;

namespace Mgmt.Policy;

/// <summary>The lines rules were read from, and where in them a word stands.</summary>
internal sealed class RuleLines(ImmutableArray<PolicyFile> inputs)
{
    // A line may be a megabyte.
    private const int MostShown = 500;

    private readonly Dictionary<string, string[]> _files = new(StringComparer.Ordinal);

    /// <summary>The line without the white space around it, cut short; empty for a rule that no line says, and for one in a file whose text is not shown.</summary>
    public string Text(Rule rule)
    {
        if (Find(rule) is not { Outside: false })
            return "";
        var line = Line(rule).Trim();
        return line.Length <= MostShown ? line : line[..MostShown] + "…";
    }

    /// <summary>From 1; 1 when the line does not have the word.</summary>
    /// <param name="rule">The rule.</param>
    /// <param name="word">The whole word.</param>
    /// <param name="field">Where to begin: 0 service, 1 argument, 2 source, 3 target, 4 action and parameters.</param>
    public int Column(Rule rule, string word, int field)
    {
        // The old format writes $ for @, a comma for a space, and neither service nor argument.
        var line = Line(rule);
        var words = Split(line);
        if (!IsFull(words, rule))
        {
            words = Split(line.Replace('$', '@').Replace(',', ' '));
            field = Math.Max(field - 2, 0);
        }
        return words.Skip(field).FirstOrDefault(found => found.Text == word, (Column: 1, Text: "")).Column;
    }

    private static bool IsFull(List<(int Column, string Text)> words, Rule rule) =>
        words.Count >= 5 && words[2].Text == rule.Source.Text && words[3].Text == rule.Target.Text;

    private static List<(int Column, string Text)> Split(string line)
    {
        var found = new List<(int, string)>();
        var words = new Words(line);
        while (words.TryNext(out var word))
            found.Add((words.Column, word.ToString()));
        return found;
    }

    private PolicyFile? Find(Rule rule) => inputs.FirstOrDefault(file => file.Display == rule.File);

    private string Line(Rule rule)
    {
        if (!_files.TryGetValue(rule.File, out var lines))
            _files[rule.File] = lines = Find(rule) is { } input ? Read(input.Bytes.Span) : [];
        return rule.Line > 0 && rule.Line <= lines.Length ? lines[rule.Line - 1] : "";
    }

    private static string[] Read(ReadOnlySpan<byte> bytes)
    {
        var lines = new List<string>();
        var reader = new LineReader(bytes);
        while (reader.TryNext(out var line, out _))
            lines.Add(line.ToString());
        return [.. lines];
    }
}
