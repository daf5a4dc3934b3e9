namespace Mgmt.Api;

/// <summary>The files derived from the call table: default policy and roles, rpc-services, docs/calls.md, docs/agent-commands.md, docs/errors.md.</summary>
public static class GeneratedFiles
{
    /// <summary>Path below the repository to content.</summary>
    public static IReadOnlyDictionary<string, string> All()
    {
        var files = new SortedDictionary<string, string>(StringComparer.Ordinal);
        var table = CallGroups.ForReading();
        PolicyGenerator.AddTo(files, table);
        RpcServiceGenerator.AddTo(files, table);
        files["docs/calls.md"] = CallsPage.Write(table);
        files["docs/agent-commands.md"] = AgentPage.Write(table);
        files["docs/errors.md"] = ErrorsPage.Write();
        return files;
    }

    /// <summary>Writes them below a directory and removes generated rpc-services of calls that are gone.</summary>
    public static void WriteTo(string directory)
    {
        var services = Path.Combine(directory, "rpc-services");
        if (Directory.Exists(services))
        {
            Directory.Delete(services, recursive: true);
        }
        foreach (var (path, content) in All())
        {
            var file = Path.Combine(directory, path);
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            File.WriteAllText(file, content);
        }
    }
}
