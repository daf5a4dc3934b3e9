using System.Collections.Immutable;

namespace Mgmt.Policy;

/// <summary>Reads a source's files in their order into one list of rules.</summary>
internal sealed partial class PolicyLoader(PolicySource source, PolicyOptions options)
{
    private readonly DiagnosticList _diagnostics = new();
    private readonly List<Rule> _rules = [];
    private readonly List<PolicyFile> _inputs = [];
    private readonly Dictionary<string, FileContent> _read = new(StringComparer.Ordinal);
    private readonly HashSet<string> _includeDirectories = new(StringComparer.Ordinal);
    private readonly HashSet<string> _listed = new(StringComparer.Ordinal);
    private readonly PolicyPlaces _places = new(source, options.LegacyDirectory);
    private readonly WordPool _pool = new();
    private long _expandedBytes;
    private int _includes;

    public PolicyLoad Load()
    {
        var files = TopLevelFiles();
        foreach (var name in files.Keys.Order(StringComparer.Ordinal))
        {
            var directory = files[name];
            var path = Path.Join(directory, name);
            // A link is the administrator's choice, and yet what lies elsewhere is not shown to those who may only change the policy.
            var outside = options.ConfineIncludes && _places.IsOutside(path);
            Watch(path);
            LoadFile(new FileContext(path, _places.Display(path), directory, outside, null, null, 0), where: null);
        }
        var errors = _diagnostics.ToImmutable();
        ImmutableArray<PolicyFile> inputs = [.. _inputs];
        if (options.BuiltinRule)
            _rules.Add(BuiltinRule());
        ImmutableArray<Rule> rules = [.. _rules];
        ImmutableArray<string> listed = [.. _listed];
        var set = errors.IsEmpty ? new PolicySet(rules, new PolicyOrigin(source.Directories, inputs, listed), options) : null;
        return new PolicyLoad(set, rules, errors, inputs, listed, [.. _includeDirectories]);
    }

    // The union of the directories by file name, the first directory winning.
    private Dictionary<string, string> TopLevelFiles()
    {
        var files = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var directory in source.Directories)
        {
            var status = source.Files.List(directory.Path, out var names);
            if (status == FileStatus.NotAFile && directory.MayBeMissing)
                continue;
            if (status != FileStatus.Found)
            {
                var problem = status == FileStatus.NotAFile ? "the policy directory does not exist" : "the policy directory cannot be read";
                _diagnostics.Add(new PolicyDiagnostic(directory.Path, 1, 1, problem));
                continue;
            }
            foreach (var name in names.Where(PolicyFileNames.IsTaken))
                AddTopLevelFile(files, directory.Path, name);
        }
        return files;
    }

    private void AddTopLevelFile(Dictionary<string, string> files, string directory, string name)
    {
        if (PolicyFileNames.IsValid(name))
            files.TryAdd(name, directory);
        else
            _diagnostics.Add(new PolicyDiagnostic(_places.Display(Path.Join(directory, name)), 1, 1, PolicyFileNames.Expected));
    }

    // "where" is the include line that named the file; mistakes about the file as a whole are told there.
    private void LoadFile(FileContext file, PolicyDiagnostic? where)
    {
        var (status, bytes) = Read(file);
        if (status != FileStatus.Found)
        {
            var named = where ?? new PolicyDiagnostic(file.Display, 1, 1, "");
            _diagnostics.Add(named with { Message = Describe(status, file.Display) });
            return;
        }
        _expandedBytes += bytes.Length;
        if (_expandedBytes > PolicyLimits.ExpandedBytes)
            Report(file, 1, new RuleError(1, $"the set is larger than {PolicyLimits.ExpandedBytes} bytes with all its includes"));
        else if (bytes.Span.StartsWith("\uFEFF"u8))
            Report(file, 1, new RuleError(1, "the file begins with a byte order mark: expected UTF-8 without one"));
        else
            LoadLines(file, bytes.Span);
    }

    private FileContent Read(FileContext file)
    {
        if (_read.TryGetValue(file.Path, out var known))
            return known;
        var status = source.Files.Read(file.Path, out var bytes);
        if (status == FileStatus.Found)
            _inputs.Add(new PolicyFile(file.Path, file.Display, bytes, _places.IsOutside(file.Path)));
        return _read[file.Path] = new FileContent(status, bytes);
    }

    private void LoadLines(FileContext file, ReadOnlySpan<byte> bytes)
    {
        var lines = new LineReader(bytes);
        while (!_diagnostics.IsFull && lines.TryNext(out var line, out var error))
        {
            error ??= file.Service is { } call ? LoadServiceLine(file, lines.Number, line, call) : LoadLine(file, lines.Number, line);
            if (error is { } mistake)
                Report(file, lines.Number, mistake);
        }
    }

    private RuleError? LoadLine(FileContext file, int number, ReadOnlySpan<char> line)
    {
        var words = new Words(line);
        if (!words.TryNext(out var first) || first.StartsWith('#'))
            return null;
        if (first.StartsWith('!'))
            return LoadDirective(file, number, line);
        var column = words.Column;
        words = new Words(line);
        if (words.CountRest() < 5)
            return new RuleError(column, "too few words: expected SERVICE ARG SOURCE TARGET ACTION and parameters");
        return CallPatternParser.Parse(ref words, _pool, out var call) ?? AddRule(ref words, call, file, number);
    }

    // Per line, in this order: "$include:" is "!include ", every "$" is "@", every "," is a space.
    private RuleError? LoadServiceLine(FileContext file, int number, ReadOnlySpan<char> line, CallPattern call)
    {
        var blank = new Words(line);
        if (!blank.TryNext(out var first) || first.StartsWith('#'))
            return null;
        string? rewritten = null;
        if (line.IndexOfAny('$', ',') >= 0)
            rewritten = line.ToString().Replace("$include:", "!include ", StringComparison.Ordinal).Replace('$', '@').Replace(',', ' ');
        var text = rewritten ?? line;
        var indent = blank.Column - 1;
        if (text[indent] == '!')
            return LoadDirective(file, number, text);
        var words = new Words(text);
        if (words.CountRest() < 3)
            return new RuleError(blank.Column, "too few words: expected SOURCE TARGET ACTION and parameters");
        return AddRule(ref words, call, file, number);
    }

    private RuleError? AddRule(ref Words words, CallPattern call, FileContext file, int number)
    {
        var error = RuleParser.Parse(ref words, call, file, number, _pool, out var rule);
        if (rule is not null)
            _rules.Add(rule);
        return error;
    }

    private void Report(FileContext file, int line, RuleError error)
    {
        var message = file.Outside ? "not a valid line (the file is not below a policy directory, so its text is not shown)" : error.Message;
        _diagnostics.Add(new PolicyDiagnostic(file.Display, line, error.Column, message));
    }

    private static string Describe(FileStatus status, string display) => status switch
    {
        FileStatus.TooLarge => $"file {display} is larger than {PolicyLimits.FileBytes} bytes",
        FileStatus.Unreadable => $"file {display} cannot be read",
        _ => $"not a file: {display}",
    };

    private static Rule BuiltinRule() => new()
    {
        File = "builtin",
        Line = 1,
        Service = null,
        Argument = null,
        Source = new Token(TokenKind.AdminVm, "", Spelling.Dom0),
        Target = new Token(TokenKind.Any, "", "*"),
        Action = PolicyAction.Allow,
    };

    private sealed record FileContent(FileStatus Status, ReadOnlyMemory<byte> Bytes);
}
