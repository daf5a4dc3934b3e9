using Mgmt.Core;
using Mgmt.Policy;

namespace Mgmt.Cli.Verbs;

/// <summary>The files SERVICE[+ARG] of a host. ERRORS: QubesException without the directory.</summary>
internal sealed class LegacyDirectory
{
    private const string Suffix = ".rpmsave";

    public LegacyDirectory(string path)
    {
        Path = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(path));
        if (!Directory.Exists(Path))
        {
            throw new MgmtException(ErrorCode.QubesException, "There is no directory %s", Path);
        }
    }

    public string Path { get; }

    /// <summary>Takes the files out of use. ERRORS: QubesException, before any is renamed, when a name is taken.</summary>
    public void Rename(Action<string> tell)
    {
        var files = Directory.EnumerateFiles(Path).Where(file => LegacyConversion.IsLegacyFile(System.IO.Path.GetFileName(file))).Order(StringComparer.Ordinal).ToList();
        if (files.Find(file => File.Exists(file + Suffix)) is { } taken)
        {
            throw new MgmtException(ErrorCode.QubesException, "No legacy file was renamed: there is a %s", taken + Suffix);
        }
        foreach (var file in files)
        {
            File.Move(file, file + Suffix);
            tell(file + Suffix);
        }
        DurableFile.SyncDirectory(Path);
    }
}
