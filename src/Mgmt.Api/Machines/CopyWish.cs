using System.Text;
using System.Text.Json;

namespace Mgmt.Api;

/// <summary>What a caller is about to put into a container: where, and how many bytes of a file or of a tar stream.</summary>
public sealed record CopyWish(string Path, bool IsDirectory, long Bytes, UnixFileMode Mode)
{
    /// <summary>The most bytes of the line.</summary>
    public const int MaxBytes = 16 * 1024;

    private const UnixFileMode Plain = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
    private const int MaxMode = 0x1FF;

    /// <summary>SHAPE of a line: <c>{"path":"/srv/x","kind":"file","bytes":12,"mode":"644"}</c>, mode only for a file and optional. ERRORS: ProtocolError, QubesValueError.</summary>
    internal static CopyWish Parse(string? latin1Line)
    {
        if (latin1Line is null)
        {
            throw new MgmtException(ErrorCode.ProtocolError, "expected a first line of JSON");
        }
        try
        {
            using var document = JsonDocument.Parse(Encoding.Latin1.GetBytes(latin1Line), new JsonDocumentOptions { MaxDepth = 2 });
            var root = document.RootElement;
            if (root.EnumerateObject().Any(member => member.Name is not ("path" or "kind" or "bytes" or "mode")))
            {
                throw new MgmtException(ErrorCode.ProtocolError, "unexpected member in the first line");
            }
            var isDirectory = root.GetProperty("kind").GetString() switch
            {
                "file" => false,
                "directory" => true,
                _ => throw new MgmtException(ErrorCode.QubesValueError, "kind has to be file or directory"),
            };
            var bytes = root.GetProperty("bytes").TryGetInt64(out var number) && number >= 0 ? number : throw new MgmtException(ErrorCode.QubesValueError, "bytes has to be 0 or more");
            return new CopyWish(root.GetProperty("path").GetString() ?? "", isDirectory, bytes, root.TryGetProperty("mode", out var mode) ? ModeOf(mode.GetString()) : Plain);
        }
        catch (Exception bad) when (bad is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            throw new MgmtException(bad, ErrorCode.ProtocolError, "the first line is not the JSON object that this call takes");
        }
    }

    private static UnixFileMode ModeOf(string? text) =>
        text is { Length: > 0 and <= 4 } && text.All(c => c is >= '0' and <= '7') && Convert.ToInt32(text, 8) is <= MaxMode and var mode
            ? (UnixFileMode)mode
            : throw new MgmtException(ErrorCode.QubesValueError, "mode has to be octal, 0 to 777");
}
