using System.Text.Json;
using Mgmt.Core;

namespace Mgmt.Qemu;

/// <summary>A command in the queue. Its token fires at the deadline and when the caller gives up; whoever takes it from the queue disposes it.</summary>
internal sealed class AgentRequest : IDisposable
{
    private readonly CancellationTokenSource _timer;
    private readonly CancellationTokenSource _either;

    public AgentRequest(string command, string? argumentsJson, bool silent, TimeSpan deadline, TimeProvider time, CancellationToken caller)
    {
        Command = command;
        Bytes = Encode(command, argumentsJson);
        Silent = silent;
        _timer = new CancellationTokenSource(deadline, time);
        _either = CancellationTokenSource.CreateLinkedTokenSource(_timer.Token, caller);
        Token = _either.Token;
    }

    public string Command { get; }

    public bool IsAboutFreezing => Command.StartsWith("guest-fsfreeze-", StringComparison.Ordinal);

    /// <summary>The command as it goes over the wire.</summary>
    public byte[] Bytes { get; }

    /// <summary>Success is silence.</summary>
    public bool Silent { get; }

    public CancellationToken Token { get; }

    public bool TimedOut => _timer.IsCancellationRequested;

    public TaskCompletionSource<JsonElement> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Dispose()
    {
        _either.Dispose();
        _timer.Dispose();
    }

    // Here, where a mistake is the caller's, and not in the loop that serves everybody.
    private static byte[] Encode(string command, string? argumentsJson)
    {
        try
        {
            return JsonCommand.Write(command, argumentsJson, null, null);
        }
        catch (JsonException e)
        {
            throw new MgmtException(e, ErrorCode.QubesValueError, "the arguments of %s are no JSON", command);
        }
    }
}
