using System.Globalization;
using System.Text.Json;
using Mgmt.Core;

namespace Mgmt.TestHost;

/// <summary>
/// The agent of a VM in memory. It knows guest-ping, guest-sync, guest-sync-delimited, guest-info, guest-get-osinfo, guest-fsfreeze-status,
/// -freeze, -thaw and guest-shutdown; the shapes are those of QEMU's guest agent reference.
/// </summary>
public sealed class TestGuestAgent : IGuestAgent
{
    private const int MaxWaiting = 16;
    private const string Shutdown = "guest-shutdown";
    private const string Status = "guest-fsfreeze-status";
    private const string Freeze = "guest-fsfreeze-freeze";
    private const string Thaw = "guest-fsfreeze-thaw";

    // What a frozen guest's agent still does.
    private static readonly string[] FrozenCommands = [Status, Thaw, "guest-info", "guest-ping", "guest-sync", "guest-sync-delimited"];

    private static readonly string[] Commands =
        [Freeze, Status, Thaw, "guest-get-osinfo", "guest-info", "guest-ping", Shutdown, "guest-sync", "guest-sync-delimited"];

    private readonly TestRunningVm _vm;
    private readonly TimeProvider _time;
    private int _waiting;

    internal TestGuestAgent(TestRunningVm vm, TimeProvider time)
    {
        _vm = vm;
        _time = time;
    }

    /// <inheritdoc/>
    public AgentState State => _vm.AgentNow;

    /// <inheritdoc/>
    public long Session => _vm.AgentSession;

    /// <inheritdoc/>
    public async Task<JsonElement> ExecuteAsync(string command, string? argumentsJson, TimeSpan deadline, CancellationToken cancellation)
    {
        if (Interlocked.Increment(ref _waiting) > MaxWaiting)
        {
            Interlocked.Decrement(ref _waiting);
            throw new MgmtException(ErrorCode.MgmtBusyError, "Too many commands wait for the guest agent of %s", _vm.Name.Value);
        }
        try
        {
            var start = _time.GetTimestamp();
            await UntilItAnswers(start, deadline, cancellation);
            if (command == Freeze)
            {
                await Within(_time.Wait(_vm.FreezeDelay, cancellation), deadline - _time.GetElapsedTime(start), cancellation);
            }
            return Json(command == Shutdown ? await ShutDown(argumentsJson, deadline - _time.GetElapsedTime(start), cancellation) : Answer(command, argumentsJson));
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }
    }

    /// <inheritdoc/>
    public Task SendAsync(string command, string? argumentsJson, CancellationToken cancellation) => Waiting.Now(
        () =>
        {
            if (command == Shutdown)
            {
                _vm.ShutdownByAgent(Mode(argumentsJson));
            }
            else
            {
                // Throws for an agent that is not there and a command that it does not know; nobody wants the answer.
                _vm.AgentAnswers();
                Answer(command, argumentsJson);
            }
        },
        cancellation);

    private async Task UntilItAnswers(long start, TimeSpan deadline, CancellationToken cancellation)
    {
        while (true)
        {
            cancellation.ThrowIfCancellationRequested();
            var (answers, changed) = _vm.AgentAnswers();
            if (answers)
            {
                return;
            }
            await Within(changed, deadline - _time.GetElapsedTime(start), cancellation);
        }
    }

    /// <summary>Success has no answer: the agent goes away with its guest.</summary>
    private async Task<string> ShutDown(string? argumentsJson, TimeSpan left, CancellationToken cancellation)
    {
        _vm.ShutdownByAgent(Mode(argumentsJson));
        await Within(_vm.Exited, left, cancellation);
        throw new MgmtException(ErrorCode.MgmtUnavailableError, "The guest agent of %s went away", _vm.Name.Value);
    }

    private async Task Within(Task task, TimeSpan left, CancellationToken cancellation)
    {
        try
        {
            await task.WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, _time, cancellation);
        }
        catch (TimeoutException)
        {
            throw new MgmtException(ErrorCode.MgmtTimeoutError, "The guest agent of %s did not answer in time", _vm.Name.Value);
        }
    }

    private string Answer(string command, string? argumentsJson)
    {
        if (_vm.IsFrozen && !FrozenCommands.Contains(command))
        {
            throw new MgmtException(ErrorCode.MgmtUnsupportedError, "The guest agent does not offer %s: the agent is in frozen state", command);
        }
        return command switch
        {
            Status => _vm.IsFrozen ? "\"frozen\"" : "\"thawed\"",
            // One file system.
            Freeze => _vm.SetFrozen(true) ? "1" : "0",
            Thaw => _vm.SetFrozen(false) ? "1" : "0",
            _ => StaticAnswer(command, argumentsJson),
        };
    }

    private static string StaticAnswer(string command, string? argumentsJson) => command switch
    {
        "guest-ping" => "{}",
        "guest-sync" or "guest-sync-delimited" => SyncId(argumentsJson).ToString(CultureInfo.InvariantCulture),
        "guest-info" => $$"""{"version":"7.2.0","supported_commands":[{{string.Join(',', Commands.Select(Supported))}}]}""",
        "guest-get-osinfo" => """
            {"id":"debian","name":"Debian GNU/Linux","pretty-name":"Debian GNU/Linux 12 (bookworm)","version":"12 (bookworm)",
             "version-id":"12","machine":"x86_64","kernel-release":"6.1.0-test","kernel-version":"#1 SMP test host"}
            """,
        _ => throw new MgmtException(ErrorCode.MgmtUnsupportedError, "The guest agent has no command %s", command),
    };

    private static string Supported(string command) =>
        $$"""{"name":"{{command}}","enabled":true,"success-response":{{(command == Shutdown ? "false" : "true")}}}""";

    private static long SyncId(string? argumentsJson) =>
        Arguments(argumentsJson) is { } arguments && arguments.TryGetProperty("id", out var id) && id.ValueKind == JsonValueKind.Number && id.TryGetInt64(out var value)
            ? value
            : throw new MgmtException(ErrorCode.QubesException, "Parameter 'id' is missing");

    private static string Mode(string? argumentsJson) =>
        Arguments(argumentsJson) is { } arguments && arguments.TryGetProperty("mode", out var mode)
            ? mode.ValueKind == JsonValueKind.String ? mode.GetString()! : ""
            : "powerdown";

    private static JsonElement? Arguments(string? json)
    {
        if (json is null)
        {
            return null;
        }
        try
        {
            var arguments = Json(json);
            if (arguments.ValueKind == JsonValueKind.Object)
            {
                return arguments;
            }
        }
        catch (JsonException)
        {
            // Said below.
        }
        throw new MgmtException(ErrorCode.QubesException, "The arguments are not a JSON object");
    }

    private static JsonElement Json(string text)
    {
        using var document = JsonDocument.Parse(text);
        return document.RootElement.Clone();
    }
}
