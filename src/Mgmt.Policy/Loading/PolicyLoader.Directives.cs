namespace Mgmt.Policy;

// directive = "!include" PATH | "!include-service" SERVICE ARG PATH | "!include-dir" PATH | "!compat-4.0"
// In service format "!include" alone, and it keeps the service.
internal sealed partial class PolicyLoader
{
    private RuleError? LoadDirective(FileContext file, int number, ReadOnlySpan<char> line)
    {
        var words = new Words(line);
        words.TryNext(out var directive);
        var column = words.Column;
        if (file.Service is { } call && directive is not "!include")
            return new RuleError(column, $"invalid directive {Spelling.Quote(directive)}: expected only !include in a file included for a service");
        return directive switch
        {
            "!include" => Include(file, number, ref words, file.Service),
            "!include-service" => IncludeService(file, number, ref words),
            "!include-dir" or "!compat-4.0" => new RuleError(column, $"{directive} is not supported yet"),
            _ => new RuleError(column, $"invalid directive {Spelling.Quote(directive)}: expected !include, !include-service, !include-dir or !compat-4.0"),
        };
    }

    private RuleError? IncludeService(FileContext file, int number, ref Words words)
    {
        if (words.CountRest() != 3)
            return new RuleError(words.Column, "wrong number of words: expected !include-service SERVICE ARG PATH");
        return CallPatternParser.Parse(ref words, _pool, out var call) ?? Include(file, number, ref words, call);
    }

    private RuleError? Include(FileContext file, int number, ref Words words, CallPattern? call)
    {
        if (words.CountRest() != 1)
            return new RuleError(words.Column, "wrong number of words: expected !include PATH");
        words.TryNext(out var word);
        var path = Path.TrimEndingDirectorySeparator(Path.GetFullPath(word.ToString(), file.Directory));
        var display = Display(path, out var outside);
        if (Refuse(file, path, display, outside) is { } refusal)
            return new RuleError(words.Column, refusal);
        if (Path.GetDirectoryName(path) is { } directory)
            _includeDirectories.Add(directory);
        var where = new PolicyDiagnostic(file.Display, number, words.Column, "");
        LoadFile(new FileContext(path, display, file.Directory, outside, call, file, file.Depth + 1), where);
        return null;
    }

    private string? Refuse(FileContext file, string path, string display, bool outside)
    {
        if (outside && options.ConfineIncludes)
            return $"{display} is not below a policy directory";
        if (file.Encloses(path))
            return $"{display} includes itself, directly or through others";
        if (file.Depth >= PolicyLimits.IncludeDepth)
            return $"includes are nested deeper than {PolicyLimits.IncludeDepth}";
        return ++_includes > PolicyLimits.Includes ? $"more than {PolicyLimits.Includes} includes" : null;
    }

    private string Display(string path, out bool outside)
    {
        foreach (var directory in source.Directories)
        {
            if (path.StartsWith(directory.Path, StringComparison.Ordinal) && path.Length > directory.Path.Length && path[directory.Path.Length] == '/')
            {
                outside = false;
                return path[(directory.Path.Length + 1)..];
            }
        }
        outside = true;
        return path;
    }
}
