namespace Mgmt.Policy;

/// <summary>The directories whose files make up a set, and what a path is called and counts as because of them.</summary>
internal sealed class PolicyPlaces
{
    private readonly IPolicyFiles _files;
    private readonly PolicyDirectory[] _places;
    private readonly string[] _realPlaces;

    public PolicyPlaces(PolicySource source, string legacyDirectory)
    {
        _files = source.Files;
        Legacy = Path.TrimEndingDirectorySeparator(Path.GetFullPath(legacyDirectory));
        _places = [.. source.Directories, source.Legacy ?? new PolicyDirectory(Legacy) { Prefix = Legacy + "/" }];
        Legacy = _places[^1].Path;
        _realPlaces = [.. _places.Select(place => _files.Resolve(place.Path))];
    }

    /// <summary>What `!compat-4.0` reads.</summary>
    public string Legacy { get; }

    public bool IsPlace(string path) => _places.Any(place => place.Path == path);

    /// <summary>The path relative to its policy directory; absolute for a legacy file and for one outside.</summary>
    public string Display(string path) =>
        Array.Find(_places, place => IsBelow(path, place.Path)) is { } found ? found.Prefix + path[(found.Path.Length + 1)..] : path;

    /// <summary>Whether a path leads to somewhere else than below one of the directories, by its words or by a link on its way.</summary>
    public bool IsOutside(string path)
    {
        if (!Array.Exists(_places, place => IsBelow(path, place.Path)))
            return true;
        var real = _files.Resolve(path);
        return real != path && !Array.Exists(_realPlaces, place => IsBelow(real, place));
    }

    private static bool IsBelow(string path, string directory) =>
        path.Length > directory.Length && path[directory.Length] == '/' && path.StartsWith(directory, StringComparison.Ordinal);
}
