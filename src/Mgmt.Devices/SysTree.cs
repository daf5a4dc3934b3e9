using System.Globalization;

namespace Mgmt.Devices;

/// <summary>
/// Reading sysfs and proc. A device chooses much of what stands there, so everything is bounded, and text is printable ASCII before anybody sees it.
/// What cannot be read is as if it were not there.
/// </summary>
internal static class SysTree
{
    /// <summary>More entries of a directory are not looked at.</summary>
    internal const int MaxEntries = 4096;
    private const int MaxText = 128;

    /// <summary>The names in a directory, sorted.</summary>
    internal static IReadOnlyList<string> Names(string directory)
    {
        try
        {
            return [.. Directory.EnumerateFileSystemEntries(directory).Take(MaxEntries).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal)];
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>Why what is in a directory cannot be listed, as a sentence; nothing when it can, or when there is no such directory: a host without USB has none for it.</summary>
    internal static IEnumerable<string> Problems(string what, string directory)
    {
        try
        {
            _ = Directory.EnumerateFileSystemEntries(directory).Any();
            return [];
        }
        catch (DirectoryNotFoundException) when (!Path.Exists(directory))
        {
            return [];
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return [$"{what} cannot be listed: {error.Message}"];
        }
    }

    /// <summary>A device's number as sysfs writes it.</summary>
    internal static string DeviceNumber((uint Major, uint Minor) node) => string.Create(CultureInfo.InvariantCulture, $"{node.Major}:{node.Minor}");

    /// <summary>A short text: one line, other bytes than printable ASCII as <c>_</c>, trimmed; empty when there is none.</summary>
    internal static string Text(params ReadOnlySpan<string> path)
    {
        var bytes = new byte[MaxText];
        var read = Bytes(Path.Combine(path), bytes);
        var text = bytes.AsSpan(0, read);
        var end = text.IndexOf((byte)'\n');
        text = end < 0 ? text : text[..end];
        var shown = new char[text.Length];
        for (var i = 0; i < shown.Length; i++)
        {
            shown[i] = text[i] is >= (byte)' ' and <= (byte)'~' ? (char)text[i] : '_';
        }
        return new string(shown).Trim();
    }

    /// <summary>A number in decimal, or null.</summary>
    internal static long? Number(params ReadOnlySpan<string> path) =>
        long.TryParse(Text(path), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    /// <summary>A number of so many hexadecimal digits, <c>0x</c> before them or not, in lower case; or null.</summary>
    internal static string? Hex(int digits, params ReadOnlySpan<string> path)
    {
        var text = Text(path);
        text = text.StartsWith("0x", StringComparison.Ordinal) ? text[2..] : text;
        return text.Length == digits && text.All(char.IsAsciiHexDigit) ? text.ToLowerInvariant() : null;
    }

    /// <summary>The last word of where a link leads, or null.</summary>
    internal static string? LinkName(string path)
    {
        try
        {
            return Path.GetFileName(File.ResolveLinkTarget(path, returnFinalTarget: false)?.FullName);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>The lines of a table of proc's, at most 1 MiB of it.</summary>
    internal static IReadOnlyList<string> Lines(string path)
    {
        var bytes = new byte[1 << 20];
        return System.Text.Encoding.Latin1.GetString(bytes, 0, Bytes(path, bytes)).Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    private static int Bytes(string path, byte[] buffer)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
            return file.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return 0;
        }
    }
}
