using System.Text.Json;
using System.Text.Json.Serialization;

namespace Mgmt.Core;

/// <summary>Of guest-file-open: a full path, and a mode as fopen takes it (<c>r</c> when not said).</summary>
public sealed record GuestFileOpenArguments(string Path, string? Mode = null);

/// <summary>Of guest-file-close and guest-file-flush.</summary>
public sealed record GuestFileArguments(long Handle);

/// <summary>Of guest-file-read: at most so many bytes, 4096 when not said.</summary>
public sealed record GuestFileReadArguments(long Handle, long? Count = null);

/// <summary>What was read.</summary>
public sealed record GuestFileRead(long Count, [property: JsonPropertyName("buf-b64")] ReadOnlyMemory<byte> Bytes, bool Eof);

/// <summary>Of guest-file-write: so many of the bytes, all when not said.</summary>
public sealed record GuestFileWriteArguments(long Handle, [property: JsonPropertyName("buf-b64")] ReadOnlyMemory<byte> Bytes, long? Count = null);

/// <summary>How much was written.</summary>
public sealed record GuestFileWrite(long Count, bool Eof);

/// <summary>Of guest-file-seek.</summary>
public sealed record GuestFileSeekArguments(long Handle, long Offset, GuestFileWhence Whence);

/// <summary>Where the file is read or written next.</summary>
public sealed record GuestFileSeek(long Position, bool Eof);

/// <summary>What an offset counts from.</summary>
[JsonConverter(typeof(GuestFileWhenceConverter))]
public enum GuestFileWhence
{
    /// <summary>The beginning.</summary>
    Set,
    /// <summary>Where the file is.</summary>
    Cur,
    /// <summary>The end.</summary>
    End,
}

/// <summary>SHAPE: <c>"set"</c>, <c>"cur"</c>, <c>"end"</c>, or the number 0, 1, 2.</summary>
internal sealed class GuestFileWhenceConverter : JsonConverter<GuestFileWhence>
{
    private static readonly string[] s_words = ["set", "cur", "end"];

    public override GuestFileWhence Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        var index = reader.TokenType switch
        {
            JsonTokenType.Number when reader.TryGetInt32(out var number) => number,
            JsonTokenType.String => Array.IndexOf(s_words, reader.GetString()),
            _ => -1,
        };
        return index is >= 0 and <= 2 ? (GuestFileWhence)index : throw new JsonException("no whence");
    }

    public override void Write(Utf8JsonWriter writer, GuestFileWhence value, JsonSerializerOptions options) => writer.WriteStringValue(s_words[(int)value]);
}
