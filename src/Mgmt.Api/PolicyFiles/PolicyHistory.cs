using System.Globalization;
using System.Text;
using Mgmt.Policy;

namespace Mgmt.Api;

// DIRECTORY/{policy,include}/NAME/ID;  ID = the time in UTC;  file = SOURCE SP TOKEN LF BYTES
/// <summary>The versions that were replaced or removed: so many of each file, so many bytes of all, the oldest going first.</summary>
internal sealed class PolicyHistory(string directory, TimeProvider clock)
{
    private const string IdFormat = "yyyyMMdd'T'HHmmssfff'Z'";
    private const int MaxHeaderBytes = 256;
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    internal int MaxVersions { get; init; } = 50;

    internal long MaxTotalBytes { get; init; } = 64 * 1024 * 1024;

    /// <summary>Keeps a version before it goes. One that a crash made us keep already is not kept twice.</summary>
    internal void Keep(PolicyFileName file, ReadOnlySpan<byte> bytes, string source)
    {
        var token = PolicyToken.Of(bytes);
        var newest = List(file).FirstOrDefault();
        if (newest?.Token == token)
        {
            return;
        }
        var folder = Folder(file);
        MakeFolder(folder);
        // Always later than the one before, also when the clock was set back.
        var time = clock.GetUtcNow();
        if (newest is not null && time < newest.Time.AddMilliseconds(1))
        {
            time = newest.Time.AddMilliseconds(1);
        }
        DurableFile.Write(Path.Join(folder, Id(time)), [.. Encoding.UTF8.GetBytes($"{source} {token}\n"), .. bytes], Private, null);
        Prune(folder);
    }

    /// <summary>What is kept of a file, the newest first.</summary>
    internal IReadOnlyList<PolicyVersion> List(PolicyFileName file) =>
        [.. Versions(Folder(file)).OrderByDescending(info => info.Name, StringComparer.Ordinal).Select(Describe).OfType<PolicyVersion>()];

    /// <summary>The bytes of a version. ERRORS: QubesException when it is not kept.</summary>
    internal byte[] Read(PolicyFileName file, string id)
    {
        var path = Path.Join(Folder(file), id);
        if (!IsId(id, out _) || !File.Exists(path))
        {
            throw new MgmtException(ErrorCode.QubesException, "No such version of %s is kept", file.Path);
        }
        var all = File.ReadAllBytes(path);
        return all[(all.AsSpan().IndexOf((byte)'\n') + 1)..];
    }

    private void Prune(string folder)
    {
        foreach (var old in Versions(folder).OrderByDescending(info => info.Name, StringComparer.Ordinal).Skip(MaxVersions))
        {
            old.Delete();
        }
        var total = 0L;
        var all = Directory.EnumerateDirectories(directory).SelectMany(Directory.EnumerateDirectories).SelectMany(Versions);
        foreach (var version in all.OrderByDescending(info => info.Name, StringComparer.Ordinal).ToList())
        {
            total += version.Length;
            if (total > MaxTotalBytes)
            {
                version.Delete();
            }
        }
    }

    private string Folder(PolicyFileName file) => Path.Join(directory, file.IsInclude ? "include" : "policy", file.Name);

    private void MakeFolder(string folder)
    {
        if (!Directory.Exists(folder))
        {
            Directory.CreateDirectory(folder, Private | UnixFileMode.UserExecute);
            DurableFile.SyncDirectory(Path.GetDirectoryName(folder)!);
            DurableFile.SyncDirectory(directory);
        }
    }

    private static IEnumerable<FileInfo> Versions(string folder) =>
        Directory.Exists(folder) ? new DirectoryInfo(folder).EnumerateFiles().Where(info => IsId(info.Name, out _)) : [];

    // A file that somebody else put there or damaged is no version.
    private static PolicyVersion? Describe(FileInfo info)
    {
        using var file = info.OpenRead();
        Span<byte> start = new byte[(int)Math.Min(MaxHeaderBytes, info.Length)];
        file.ReadExactly(start);
        var end = start.IndexOf((byte)'\n');
        return end > 0 && Encoding.UTF8.GetString(start[..end]).Split(' ') is [var source, var token] && IsId(info.Name, out var time)
            ? new(info.Name, time, source, token)
            : null;
    }

    private static string Id(DateTimeOffset time) => time.UtcDateTime.ToString(IdFormat, CultureInfo.InvariantCulture);

    private static bool IsId(string text, out DateTimeOffset time) =>
        DateTimeOffset.TryParseExact(text, IdFormat, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out time);
}
