using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Mgmt.Core;

namespace Mgmt.Policy;

/// <summary>
/// The rules of a legacy directory (a file SERVICE[+ARG] each) as lines of a rule file: where a file says `!compat-4.0`, in that line's place, else at
/// the end of 35-compat.policy. Nothing is written.
/// </summary>
public sealed class LegacyConversion
{
    private const string DefaultFile = "35-compat.policy";
    private const string Directive = "!compat-4.0";

    private LegacyConversion(PolicyFile? file, ReadOnlyMemory<byte> text, PolicySet now, PolicySet intended, PolicySet after)
    {
        FilePath = file?.FullPath ?? "";
        FileName = file?.Display ?? "";
        Before = file?.Bytes ?? default;
        Text = text;
        Now = now;
        Intended = intended;
        After = after;
    }

    /// <summary>The file to write, absolute; empty when there is nothing to convert.</summary>
    public string FilePath { get; }

    /// <summary>The same as rules are located.</summary>
    public string FileName { get; }

    /// <summary>What it says now; empty when there is none.</summary>
    public ReadOnlyMemory<byte> Before { get; }

    /// <summary>What it would say.</summary>
    public ReadOnlyMemory<byte> Text { get; }

    /// <summary>How many rules the new text has for the legacy files.</summary>
    public int RuleCount { get; private init; }

    /// <summary>How many rules of legacy files are left out because an earlier rule takes everything they could match.</summary>
    public int LeftOut { get; private init; }

    /// <summary>The rules as the files are now.</summary>
    public PolicySet Now { get; }

    /// <summary>The rules with the legacy files in force.</summary>
    public PolicySet Intended { get; }

    /// <summary>The rules with the new text and without the legacy files.</summary>
    public PolicySet After { get; }

    /// <summary>Converts. ERRORS: QubesException for sets that do not load, with each mistake, and for a line `!compat-4.0` in a file that is not shown.</summary>
    /// <param name="source">The rule files.</param>
    /// <param name="options">How they become a set.</param>
    /// <param name="legacyDirectory">The legacy files, on disk; absolute.</param>
    /// <param name="domains">The VMs: rules are left out only when that changes no answer about them.</param>
    public static LegacyConversion Of(PolicySource source, PolicyOptions options, string legacyDirectory, IDomainDirectory domains)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(options);
        legacyDirectory = Path.TrimEndingDirectorySeparator(Path.GetFullPath(legacyDirectory));
        var reader = new Reader(new PolicySource(source.Directories, new FilesBelow(legacyDirectory, new DiskFiles(), source.Files)), options with { LegacyDirectory = legacyDirectory });
        var now = reader.Load();
        var place = Find(now) ?? Append(now, source, legacyDirectory);
        var intended = reader.Load(place.File.FullPath, place.With(Directive));
        if (!intended.Rules.Any(rule => rule.IsLegacy))
        {
            RefuseHidden(intended, place.File);
            return place.IsThere ? Make(reader, place, now, intended, []) : new LegacyConversion(null, default, now, intended, now);
        }
        var useful = Make(reader, place, now, intended, Useful(intended));
        return !PolicyDiff.Between(intended, useful.After, domains).Any() ? useful : Make(reader, place, now, intended, [.. intended.Rules.Where(rule => rule.IsLegacy)]);
    }

    /// <summary>Whether `!compat-4.0` reads a file of this name.</summary>
    public static bool IsLegacyFile(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return LegacyFileNames.IsTaken(name);
    }

    private static LegacyConversion Make(Reader reader, Place place, PolicySet now, PolicySet intended, ImmutableArray<Rule> rules)
    {
        var all = intended.Rules.Count(rule => rule.IsLegacy);
        if (rules.IsEmpty && !place.IsThere)
            return new LegacyConversion(null, default, now, intended, now) { LeftOut = all };
        var text = place.With(Block(rules, reader.Options.LegacyDirectory));
        return new LegacyConversion(place.File, text, now, intended, reader.Load(place.File.FullPath, text)) { RuleCount = rules.Length, LeftOut = all - rules.Length };
    }

    // A comment for each legacy file, so that it can be told where a line is from. No time: the same input gives the same text.
    private static string Block(ImmutableArray<Rule> rules, string legacyDirectory)
    {
        var text = new StringBuilder(Mark(legacyDirectory));
        var file = "";
        foreach (var rule in rules)
        {
            if (rule.File != file)
                text.Append(CultureInfo.InvariantCulture, $"\n# {file = rule.File}");
            text.Append('\n').Append(RuleText.Line(rule));
        }
        return text.ToString();
    }

    private static string Mark(string legacyDirectory) => $"# Converted from {legacyDirectory} by mgmtctl policy convert";

    private static ImmutableArray<Rule> Useful(PolicySet intended)
    {
        var cover = new RuleCover(intended.Rules, null, anyTags: true);
        return [.. intended.Rules.Where((rule, order) => rule.IsLegacy && cover.First(rule, rule.Target) >= order)];
    }

    // The first line counts: the rules of another one after it could never match.
    private static Place? Find(PolicySet now)
    {
        foreach (var file in now.Origin.Inputs)
        {
            var lines = LinesOf(file).Split('\n');
            var line = Array.FindIndex(lines, IsDirective);
            if (line >= 0 && file.Outside)
                throw new MgmtException(ErrorCode.QubesException, "%s has %s and is not below a policy directory: put that line into a rule file", file.Display, Directive);
            if (line >= 0)
                return new Place(file, lines, line, IsThere: true);
        }
        return null;
    }

    private static bool IsDirective(string line)
    {
        var words = new Words(line);
        return words.TryNext(out var word) && word is Directive;
    }

    // After what was converted before, which then comes first and leaves nothing to add.
    private static Place Append(PolicySet now, PolicySource source, string legacyDirectory)
    {
        var path = Path.Join(source.Directories[^1].Path, DefaultFile);
        var mark = Mark(legacyDirectory);
        var file = now.Origin.Inputs.FirstOrDefault(file => !file.Outside && LinesOf(file).Split('\n').Contains(mark))
            ?? now.Origin.Inputs.FirstOrDefault(file => file.FullPath == path) ?? new PolicyFile(path, DefaultFile, default, false);
        string[] lines = LinesOf(file).TrimEnd('\n') is { Length: > 0 } text ? text.Split('\n') : [];
        return new Place(file, [.. lines, "", ""], lines.Length, IsThere: false);
    }

    // The loader's line ends, and no others.
    private static string LinesOf(PolicyFile file) => Encoding.UTF8.GetString(file.Bytes.Span).Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n');

    private static void RefuseHidden(PolicySet intended, PolicyFile file)
    {
        if (!intended.Origin.Inputs.Any(input => input.FullPath == file.FullPath))
            throw new MgmtException(ErrorCode.QubesException, "%s is hidden by a file of the same name in an earlier directory, so what is written there has no effect", file.FullPath);
    }

    /// <summary>The line that the rules take the place of.</summary>
    private sealed record Place(PolicyFile File, string[] Lines, int Line, bool IsThere)
    {
        public byte[] With(string text) => Encoding.UTF8.GetBytes(string.Join('\n', [.. Lines[..Line], text, .. Lines[(Line + 1)..]]));
    }

    private sealed record Reader(PolicySource Source, PolicyOptions Options)
    {
        public PolicySet Load() => Load(Source);

        public PolicySet Load(string path, ReadOnlyMemory<byte> bytes) => Load(Source.With(path, bytes));

        private PolicySet Load(PolicySource source)
        {
            var load = PolicySet.Load(source, Options);
            return load.Set ?? throw new MgmtException(ErrorCode.QubesException, "The policy is broken, so nothing is converted: %s", string.Join("; ", load.Errors.Take(10)));
        }
    }
}
