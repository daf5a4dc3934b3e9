using System.Text.Json;
using System.Text.Json.Serialization;
using Mgmt.Cli.Formats;
using Mgmt.Core;
using Mgmt.Wire;

namespace Mgmt.Cli;

/// <summary>Programs and files of one VM's guest, by the calls of its agent. ERRORS: what the daemon says.</summary>
internal sealed class Guest(Daemon daemon, string vm, TimeProvider time)
{
    /// <summary>Bytes that one call carries.</summary>
    public const int ChunkBytes = 512 * 1024;
    private static readonly TimeSpan s_firstPause = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan s_longestPause = TimeSpan.FromSeconds(1);

    /// <summary>Runs a program to its end. The agent tells its output then, all at once.</summary>
    public async Task<GuestProcessEnd> RunAsync(GuestProgram program, CancellationToken cancellationToken)
    {
        var pid = await StartAsync(program, cancellationToken);
        for (var pause = s_firstPause; ; pause = pause * 2 < s_longestPause ? pause * 2 : s_longestPause)
        {
            var end = await StatusAsync(pid, cancellationToken);
            if (end.Exited)
            {
                return end;
            }
            await Task.Delay(pause, time, cancellationToken);
        }
    }

    /// <summary>Starts a program; gives what StatusAsync is asked with.</summary>
    public async Task<ReadOnlyMemory<byte>> StartAsync(GuestProgram program, CancellationToken cancellationToken)
    {
        using var started = await AskAsync(AgentCommands.Exec, JsonSerializer.SerializeToUtf8Bytes(program, GuestJson.Default.GuestProgram), cancellationToken);
        return JsonSerializer.SerializeToUtf8Bytes(new GuestPid(JsonFacts.Member(started.RootElement, "pid")), GuestJson.Default.GuestPid);
    }

    /// <summary>Whether and how it ended. The agent forgets one that ended when it has told so.</summary>
    public async Task<GuestProcessEnd> StatusAsync(ReadOnlyMemory<byte> pid, CancellationToken cancellationToken)
    {
        using var status = await AskAsync(AgentCommands.ExecStatus, pid, cancellationToken);
        return Read(status, GuestJson.Default.GuestProcessEnd);
    }

    /// <summary>Opens a file; gives its id.</summary>
    public async Task<string> OpenAsync(string path, string mode, CancellationToken cancellationToken)
    {
        using var answer = await AskAsync(AgentCommands.FileOpen, JsonSerializer.SerializeToUtf8Bytes(new GuestFileOpenArguments(path, mode), GuestJson.Default.GuestFileOpenArguments), cancellationToken);
        return answer.RootElement.ValueKind == JsonValueKind.String ? answer.RootElement.GetString()! : throw Nonsense();
    }

    /// <summary>The next bytes of a file, and whether it ended.</summary>
    public async Task<GuestFileRead> ReadAsync(string handle, CancellationToken cancellationToken)
    {
        using var answer = await AskAsync(AgentCommands.FileRead, JsonSerializer.SerializeToUtf8Bytes(new GuestChunk(handle, Count: ChunkBytes), GuestJson.Default.GuestChunk), cancellationToken);
        return Read(answer, GuestJson.Default.GuestFileRead);
    }

    /// <summary>Writes bytes; gives how many were.</summary>
    public async Task<long> WriteAsync(string handle, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        using var answer = await AskAsync(AgentCommands.FileWrite, JsonSerializer.SerializeToUtf8Bytes(new GuestChunk(handle, bytes), GuestJson.Default.GuestChunk), cancellationToken);
        return Read(answer, GuestJson.Default.GuestFileWrite).Count;
    }

    /// <summary>Writes out what the agent holds back, and closes.</summary>
    public async Task CloseAsync(string handle, bool flush, CancellationToken cancellationToken)
    {
        var file = JsonSerializer.SerializeToUtf8Bytes(new GuestChunk(handle), GuestJson.Default.GuestChunk);
        if (flush)
        {
            using var flushed = await AskAsync(AgentCommands.FileFlush, file, cancellationToken);
        }
        using var closed = await AskAsync(AgentCommands.FileClose, file, cancellationToken);
    }

    private async Task<JsonDocument> AskAsync(AgentCommand command, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken) =>
        JsonFacts.Parse(await daemon.CallAsync(new RequestHeader("mgmt.vm.agent." + command.Call, "", Daemon.Host, DestinationKind.Name, vm), payload, cancellationToken));

    private static T Read<T>(JsonDocument answer, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type)
    {
        try
        {
            return answer.Deserialize(type) ?? throw Nonsense();
        }
        catch (JsonException)
        {
            throw Nonsense();
        }
    }

    private static MgmtException Nonsense() => new(ErrorCode.ProtocolError, "The daemon's answer makes no sense");
}

/// <summary>What is to be run, and what it reads.</summary>
internal sealed record GuestProgram(string Path, IReadOnlyList<string>? Arg, IReadOnlyList<string>? Env, ReadOnlyMemory<byte>? InputData, bool CaptureOutput);

/// <summary>How a program ended: with an exit code or by a signal.</summary>
internal sealed record GuestProcessEnd(
    bool Exited, long? Exitcode = null, long? Signal = null, ReadOnlyMemory<byte>? OutData = null, ReadOnlyMemory<byte>? ErrData = null, bool? OutTruncated = null, bool? ErrTruncated = null)
{
    /// <summary>As a shell says it.</summary>
    [JsonIgnore]
    public int Status => Signal is { } signal ? 128 + (int)(signal & 0x7f) : (int)((Exitcode ?? 0) & 0xff);
}

/// <summary>A process by the id that the daemon gave.</summary>
internal sealed record GuestPid(string Pid);

/// <summary>A file by the id that the daemon gave, with bytes for it or how many are wanted.</summary>
internal sealed record GuestChunk(string Handle, [property: JsonPropertyName("buf-b64")] ReadOnlyMemory<byte>? Bytes = null, long? Count = null);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.KebabCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(GuestProgram))]
[JsonSerializable(typeof(GuestProcessEnd))]
[JsonSerializable(typeof(GuestPid))]
[JsonSerializable(typeof(GuestChunk))]
[JsonSerializable(typeof(GuestFileOpenArguments))]
[JsonSerializable(typeof(GuestFileRead))]
[JsonSerializable(typeof(GuestFileWrite))]
internal sealed partial class GuestJson : JsonSerializerContext;
