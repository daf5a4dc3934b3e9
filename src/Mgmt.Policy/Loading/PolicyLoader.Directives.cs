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
            "!include-dir" => IncludeDirectory(file, number, ref words),
            "!compat-4.0" => IncludeLegacy(file, number, ref words),
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
        var column = words.Column;
        return IncludeFile(file, number, column, path, call) is { } problem ? new RuleError(column, problem) : null;
    }

    private RuleError? IncludeDirectory(FileContext file, int number, ref Words words)
    {
        if (words.CountRest() != 1)
            return new RuleError(words.Column, "wrong number of words: expected !include-dir PATH");
        words.TryNext(out var word);
        var column = words.Column;
        var directory = Path.TrimEndingDirectorySeparator(Path.GetFullPath(word.ToString(), file.Directory));
        var display = _places.Display(directory);
        _includeDirectories.Add(directory);
        Watch(directory);
        if (options.ConfineIncludes && !_places.IsPlace(directory) && _places.IsOutside(directory))
            return new RuleError(column, $"{display} is not below a policy directory");
        var status = source.Files.List(directory, out var names);
        if (status != FileStatus.Found)
            return new RuleError(column, status == FileStatus.NotAFile ? $"not a directory: {display}" : $"directory {display} cannot be read");
        _listed.Add(directory);
        foreach (var name in names.Where(PolicyFileNames.IsTaken).Order(StringComparer.Ordinal))
        {
            var path = Path.Join(directory, name);
            var problem = PolicyFileNames.IsValid(name) ? IncludeFile(file, number, column, path, null) : $"{_places.Display(path)}: {PolicyFileNames.Expected}";
            if (problem is not null)
                Report(file, number, new RuleError(column, problem));
            if (_diagnostics.IsFull || _includes > PolicyLimits.Includes)
                break;
        }
        return null;
    }

    // Services by name; of a service the files with an argument, by argument, then the one without.
    private RuleError? IncludeLegacy(FileContext file, int number, ref Words words)
    {
        var column = words.Column;
        if (words.CountRest() != 0)
            return new RuleError(column, "wrong number of words: expected !compat-4.0 alone");
        var directory = _places.Legacy;
        _includeDirectories.Add(directory);
        Watch(directory);
        var status = source.Files.List(directory, out var names);
        if (status != FileStatus.Found)
            return new RuleError(column, status == FileStatus.NotAFile ? $"not a directory: {directory}" : $"directory {directory} cannot be read");
        _listed.Add(directory);
        var calls = names.Where(LegacyFileNames.IsTaken).Select(LegacyFileNames.Split)
            .OrderBy(call => call.Service, StringComparer.Ordinal)
            .ThenBy(call => call.Argument is null)
            .ThenBy(call => call.Argument, StringComparer.Ordinal);
        var context = file with { Directory = directory, IsLegacy = true };
        foreach (var call in calls)
        {
            var path = Path.Join(directory, call.Service + call.Argument);
            if (IncludeFile(context, number, column, path, call) is { } problem)
                return new RuleError(column, problem);
            if (call.Argument is not null)
                AddLegacyDenies(_places.Display(path), call);
        }
        return null;
    }

    // A file for one argument speaks for every VM that asks with it: what it does not say is denied, not left to the next file.
    private void AddLegacyDenies(string display, CallPattern call)
    {
        var anyVm = new Token(TokenKind.AnyVm, "", Spelling.AnyVm);
        foreach (var target in (ReadOnlySpan<Token>)[anyVm, new Token(TokenKind.AdminVm, "", Spelling.AdminVm)])
        {
            _rules.Add(new Rule
            {
                File = display,
                Line = 0,
                Service = call.Service,
                Argument = call.Argument,
                Source = anyVm,
                Target = target,
                Action = PolicyAction.Deny,
                Notify = true,
                IsLegacy = true,
            });
        }
    }

    // Gives what is wrong with including the file at all.
    private string? IncludeFile(FileContext file, int number, int column, string path, CallPattern? call)
    {
        var display = _places.Display(path);
        var outside = _places.IsOutside(path);
        if (Path.GetDirectoryName(path) is { } directory)
            _includeDirectories.Add(directory);
        Watch(path);
        if (Refuse(file, path, display, outside) is { } refusal)
            return refusal;
        LoadFile(new FileContext(path, display, file.Directory, outside, call, file, file.Depth + 1) { IsLegacy = file.IsLegacy }, new PolicyDiagnostic(file.Display, number, column, ""));
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

    // Where a link leads must be watched too. What lies below a policy directory is, anyway.
    private void Watch(string path)
    {
        var real = source.Files.Resolve(path);
        if (real != path && Path.GetDirectoryName(real) is { } directory)
            _includeDirectories.Add(directory);
    }
}
