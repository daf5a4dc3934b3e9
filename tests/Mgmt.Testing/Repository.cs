namespace Mgmt.Testing;

/// <summary>The source tree that the tests were built from.</summary>
public static class Repository
{
    /// <summary>Its directory.</summary>
    public static string Root { get; } = Find();

    private static string Find()
    {
        for (var at = new DirectoryInfo(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            if (File.Exists(Path.Combine(at.FullName, "Mgmt.sln")))
            {
                return at.FullName;
            }
        }
        throw new FileNotFoundException("Mgmt.sln is not above the tests");
    }
}
