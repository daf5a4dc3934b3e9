namespace Mgmt.Cli.Verbs;

/// <summary>A file on the command line: here, or in a VM as <c>VM:PATH</c>. What has a slash before its first colon is here.</summary>
internal readonly record struct GuestPath(string? Vm, string Path)
{
    /// <summary>ERRORS: UsageException.</summary>
    public static GuestPath Parse(string text)
    {
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        if (colon < 0 || text[..colon].Contains('/', StringComparison.Ordinal))
        {
            return text.Length > 0 ? new(null, text) : throw new UsageException("a file without a name");
        }
        return colon > 0 && colon + 1 < text.Length ? new(text[..colon], text[(colon + 1)..]) : throw new UsageException($"'{text}' is no file of a VM; one is named VM:PATH");
    }

    /// <summary>The last part of the path.</summary>
    public string Name => System.IO.Path.GetFileName(Path.TrimEnd('/'));

    public override string ToString() => Vm is null ? Path : $"{Vm}:{Path}";
}
