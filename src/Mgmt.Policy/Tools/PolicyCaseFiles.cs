using System.Text;
using System.Text.Json;
using Mgmt.Core;

namespace Mgmt.Policy;

// files = { PATH: TEXT | { "b64": BASE64 } | { "symlink": PATH }, PATH "/": any }      a PATH that ends in "/" is an empty directory
/// <summary>The files of a case, held in memory: nothing outside of the case is read, whatever it includes.</summary>
internal sealed class PolicyCaseFiles
{
    private const string Etc = "/case/etc";
    private const string Run = "/case/run";
    private const string Legacy = "/case/old";

    private readonly Dictionary<string, ReadOnlyMemory<byte>> _files = new(StringComparer.Ordinal);
    private readonly HashSet<string> _directories = new(StringComparer.Ordinal);
    private readonly List<(string Path, string Target)> _links = [];

    /// <summary>ERRORS: QubesValueError for a case without a policy, or a file of no known form.</summary>
    public static PolicySource Read(JsonElement subject)
    {
        var files = new PolicyCaseFiles();
        if (!files.Add(subject, "policy", Etc))
            throw new MgmtException(ErrorCode.QubesValueError, "The case has no object \"policy\"");
        var runtime = files.Add(subject, "runtime_policy", Run);
        files.Add(subject, "legacy_policy", Legacy);
        files.Follow();
        var etc = new PolicyDirectory(Etc);
        return new PolicySource(runtime ? [new PolicyDirectory(Run) { Prefix = "run:" }, etc] : [etc], new MemoryFiles(files._files, files._directories))
        {
            Legacy = new PolicyDirectory(Legacy) { Prefix = "old:" },
        };
    }

    private bool Add(JsonElement subject, string member, string root)
    {
        if (!subject.TryGetProperty(member, out var files) || files.ValueKind != JsonValueKind.Object)
            return false;
        _directories.Add(root);
        foreach (var file in files.EnumerateObject())
        {
            var path = Path.TrimEndingDirectorySeparator(Path.GetFullPath(file.Name, root));
            if (file.Name.EndsWith('/'))
                _directories.Add(path);
            else
                AddFile(path, file.Value);
        }
        return true;
    }

    private void AddFile(string path, JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.String)
            _files[path] = Encoding.UTF8.GetBytes(value.GetString()!.Replace("%POLICYDIR%", Etc, StringComparison.Ordinal));
        else if (value.ValueKind == JsonValueKind.Object && value.TryGetProperty("b64", out var base64) && base64.TryGetBytesFromBase64(out var bytes))
            _files[path] = bytes;
        else if (value.ValueKind == JsonValueKind.Object && value.TryGetProperty("symlink", out var link) && link.ValueKind == JsonValueKind.String)
            _links.Add((path, Path.GetFullPath(link.GetString()!.Replace("%POLICYDIR%", Etc, StringComparison.Ordinal), Path.GetDirectoryName(path)!)));
        else
            throw new MgmtException(ErrorCode.QubesValueError, "The case's file %s is neither text, b64 nor symlink", path);
    }

    // A link to a link takes as many rounds as there are links at most; one that leads nowhere is no file.
    private void Follow()
    {
        foreach (var _ in _links)
        {
            foreach (var (path, target) in _links)
            {
                if (_files.TryGetValue(target, out var bytes))
                    _files[path] = bytes;
            }
        }
    }
}
