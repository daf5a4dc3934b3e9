using System.Buffers;
using System.Globalization;
using System.Text;

namespace Mgmt.Policy;

// file    = "mgmt-policy 1" LF "digest " HEX LF "time " ISO8601 LF *("directory " PATH LF) *("listed " PATH LF) *("outside " PATH LF) *( "file " LENGTH SP PATH LF BYTES LF )
/// <summary>The last good set on disk: its files as they were, so that it can be loaded again without them.</summary>
internal sealed class LastGoodFile(string path)
{
    private const string Magic = "mgmt-policy 1";
    private const int MaxBytes = 256 * 1024 * 1024;

    /// <summary>Writes beside the file and renames, so that a crash leaves the old one or the new one.</summary>
    public void Save(IEnumerable<PolicyDirectory> directories, PolicyLoad load, string digest, DateTimeOffset time)
    {
        var buffer = new ArrayBufferWriter<byte>();
        WriteLine(buffer, Magic);
        WriteLine(buffer, $"digest {digest}");
        WriteLine(buffer, $"time {time.UtcDateTime.ToString("O", CultureInfo.InvariantCulture)}");
        foreach (var directory in directories)
            WriteLine(buffer, $"directory {directory.Path}");
        foreach (var directory in load.Listed)
            WriteLine(buffer, $"listed {directory}");
        foreach (var file in load.Inputs.Where(file => file.Outside))
            WriteLine(buffer, $"outside {file.FullPath}");
        foreach (var file in load.Inputs)
        {
            WriteLine(buffer, string.Create(CultureInfo.InvariantCulture, $"file {file.Bytes.Length} {file.FullPath}"));
            buffer.Write(file.Bytes.Span);
            WriteLine(buffer, "");
        }
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        Directory.CreateDirectory(folder);
        var temporary = path + ".new";
        File.Delete(temporary);
        using (var stream = new FileStream(temporary, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite }))
        {
            stream.Write(buffer.WrittenSpan);
            stream.Flush(flushToDisk: true);
        }
        File.Move(temporary, path, overwrite: true);
        // Without it the rename itself can be lost with the power.
        NativeDirectory.Flush(folder);
    }

    /// <summary>Loads the kept set; null, with the reason, when there is none or it is damaged.</summary>
    public LastGoodSet? Load(PolicyOptions options, out string? problem)
    {
        problem = null;
        try
        {
            var info = new FileInfo(path);
            if (!info.Exists)
                return null;
            problem = "it is too large";
            return info.Length > MaxBytes ? null : Parse(File.ReadAllBytes(path), options, out problem);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            problem = e.Message;
            return null;
        }
    }

    private static LastGoodSet? Parse(ReadOnlyMemory<byte> bytes, PolicyOptions options, out string? problem)
    {
        problem = "its form is not known";
        var digest = "";
        DateTimeOffset? time = null;
        var listed = new List<string>();
        var outside = new HashSet<string>(StringComparer.Ordinal);
        var directories = new List<PolicyDirectory>();
        var files = new Dictionary<string, ReadOnlyMemory<byte>>(StringComparer.Ordinal);
        if (!TryLine(ref bytes, out var line) || line != Magic)
            return null;
        while (!bytes.IsEmpty)
        {
            if (!TryLine(ref bytes, out line) || line.IndexOf(' ') is not (var space and > 0))
                return null;
            var value = line[(space + 1)..];
            if (line.StartsWith("digest ", StringComparison.Ordinal))
                digest = value;
            else if (line.StartsWith("time ", StringComparison.Ordinal))
                time = DateTimeOffset.TryParse(value, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var parsed) ? parsed : null;
            else if (line.StartsWith("listed /", StringComparison.Ordinal))
                listed.Add(value);
            else if (line.StartsWith("outside /", StringComparison.Ordinal))
                outside.Add(value);
            else if (line.StartsWith("directory /", StringComparison.Ordinal))
                directories.Add(new PolicyDirectory(value));
            else if (line.StartsWith("file ", StringComparison.Ordinal) && !TryFile(ref bytes, value, files))
                return null;
        }
        if (time is null)
            return null;
        var kept = new MemoryFiles(files, listed.Concat(directories.Select(directory => directory.Path)).ToHashSet(StringComparer.Ordinal)) { LinkedOut = outside };
        return Reload(new PolicySource([.. directories], kept), options, digest, time.Value, out problem);
    }

    // What is kept was read while includes were checked.
    private static LastGoodSet? Reload(PolicySource source, PolicyOptions options, string digest, DateTimeOffset time, out string? problem)
    {
        var load = new PolicyLoader(source, options with { ConfineIncludes = false }).Load();
        problem = load.Set?.Digest == digest ? null : "its content and its digest differ";
        return problem is null ? new LastGoodSet(load.Set!, time) : null;
    }

    private static bool TryFile(ref ReadOnlyMemory<byte> bytes, string header, Dictionary<string, ReadOnlyMemory<byte>> files)
    {
        var space = header.IndexOf(' ');
        if (space < 0 || !int.TryParse(header.AsSpan(0, space), NumberStyles.None, CultureInfo.InvariantCulture, out var length) || length >= bytes.Length)
            return false;
        files[header[(space + 1)..]] = bytes[..length];
        bytes = bytes[(length + 1)..];
        return true;
    }

    private static bool TryLine(ref ReadOnlyMemory<byte> bytes, out string line)
    {
        var end = bytes.Span.IndexOf((byte)'\n');
        line = end < 0 ? "" : Encoding.UTF8.GetString(bytes.Span[..end]);
        bytes = bytes[(end + 1)..];
        return end >= 0;
    }

    private static void WriteLine(ArrayBufferWriter<byte> buffer, string line)
    {
        buffer.Write(Encoding.UTF8.GetBytes(line));
        buffer.Write("\n"u8);
    }
}
