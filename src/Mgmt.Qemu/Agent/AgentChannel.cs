using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text.Json;
using Mgmt.Core;

namespace Mgmt.Qemu;

/// <summary>
/// The bytes of one guest agent: one command at a time, read only while an answer is awaited, so that a guest that floods its
/// port stalls itself and nobody else. What comes in, a line each:
/// <code>
/// [0xFF] {"return": VALUE}
/// [0xFF] {"error": {"class": TEXT, "desc": TEXT}}
/// </code>
/// There are no ids: after anything unexpected only <see cref="SyncAsync"/> makes the next answer trustworthy.
/// SOURCE: QEMU Guest Agent Protocol Reference, guest-sync-delimited.
/// </summary>
internal sealed class AgentChannel(Stream stream) : IAsyncDisposable
{
    // Of commands that the reference has not, and of what is said between answers.
    internal const int PlainLineBytes = 1 << 20;
    internal static readonly int MaxLineBytes = AgentCommands.All.Max(command => command.MaxResultBytes) + Around;
    // {"return": …} and what the agent puts around it.
    private const int Around = 64;
    internal const int MaxTokens = 500_000;
    internal const int MaxTextLength = 1024;

    private readonly LineReader _lines = new(stream, MaxLineBytes, sentinels: true) { Limit = PlainLineBytes };

    /// <summary>Whether the agent said something that nobody asked for.</summary>
    public bool HasUnread => _lines.HasUnread || stream is NetworkStream { DataAvailable: true };

    /// <summary>Gets into step: whatever was said before is skipped. ERRORS: OperationCanceledException, IOException.</summary>
    public async Task SyncAsync(CancellationToken cancellation)
    {
        // 53 bits: enough to be unguessed by accident, and exact in any JSON number.
        var id = RandomNumberGenerator.GetInt32(int.MaxValue) * 4_194_304L + RandomNumberGenerator.GetInt32(4_194_304);
        await stream.WriteAsync(JsonCommand.Write("guest-sync-delimited", $$"""{"id":{{id}}}""", null, 0xFF), cancellation);
        while (true)
        {
            var line = await ReadAsync(cancellation);
            if (line.Kind == LineKind.Line && line.AfterSentinel && IsAnswer(line.Bytes.Span, id))
            {
                return;
            }
        }
    }

    /// <summary>
    /// Runs a command, given as <see cref="JsonCommand"/> writes it, and gives its <c>return</c>. ERRORS: QubesException, MgmtUnsupportedError (the agent's own error: still in step);
    /// AgentNonsenseException, OperationCanceledException, IOException (no longer in step).
    /// </summary>
    public async Task<JsonElement> CallAsync(string command, byte[] bytes, CancellationToken cancellation)
    {
        await stream.WriteAsync(bytes, cancellation);
        return await AnswerAsync(command, cancellation);
    }

    /// <summary>Writes a command and leaves its answer, if any, to <see cref="AnswerAsync"/>.</summary>
    public ValueTask WriteAsync(byte[] bytes, CancellationToken cancellation) => stream.WriteAsync(bytes, cancellation);

    /// <summary>The next line as an answer. ERRORS: as for <see cref="CallAsync"/>.</summary>
    public async Task<JsonElement> AnswerAsync(string command, CancellationToken cancellation)
    {
        // Only a command that may have a long answer can make us hold one.
        _lines.Limit = AgentCommands.Find(command)?.MaxResultBytes + Around ?? PlainLineBytes;
        var line = await ReadAsync(cancellation);
        _lines.Limit = PlainLineBytes;
        if (line.Kind == LineKind.TooLong)
        {
            throw new AgentNonsenseException("its answer is too long", null);
        }
        JsonElement message;
        try
        {
            message = BoundedJson.Parse(line.Bytes.Span, MaxTokens);
        }
        catch (JsonException e)
        {
            throw new AgentNonsenseException("its answer is no JSON that we take", e);
        }
        if (message.ValueKind == JsonValueKind.Object && message.TryGetProperty("return", out var value))
        {
            return value;
        }
        throw message.ValueKind == JsonValueKind.Object && message.TryGetProperty("error", out var error)
            ? Error(command, error)
            : new AgentNonsenseException("its answer has neither return nor error", null);
    }

    /// <summary>Closes the connection.</summary>
    public ValueTask DisposeAsync() => stream.DisposeAsync();

    private async ValueTask<Line> ReadAsync(CancellationToken cancellation)
    {
        var line = await _lines.ReadAsync(cancellation);
        return line.Kind == LineKind.End ? throw new IOException("the agent's socket was closed") : line;
    }

    private static bool IsAnswer(ReadOnlySpan<byte> line, long id)
    {
        try
        {
            var message = BoundedJson.Parse(line, 16);
            return message.ValueKind == JsonValueKind.Object && message.TryGetProperty("return", out var value)
                && value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var got) && got == id;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static MgmtException Error(string command, JsonElement error)
    {
        if (error.Text("class") == "CommandNotFound")
        {
            return new MgmtException(ErrorCode.MgmtUnsupportedError, "the guest agent does not offer %s: %s", command, Words(error));
        }
        return new MgmtException(ErrorCode.QubesException, "the guest agent refused %s: %s", command, Words(error));
    }

    // The guest chose these words: short, and nothing in them can move a terminal's cursor or end a field.
    private static string Words(JsonElement error)
    {
        var text = error.Text("desc") ?? "no reason given";
        text = text.Length > MaxTextLength ? text[..MaxTextLength] : text;
        return string.Create(text.Length, text, (span, from) =>
        {
            for (var i = 0; i < span.Length; i++)
            {
                span[i] = char.IsControl(from[i]) || (i + 1 == span.Length && char.IsHighSurrogate(from[i])) ? '_' : from[i];
            }
        });
    }
}
