using System.Text.Json;

namespace Mgmt.Qemu;

/// <summary>A command in the queue. Its token fires at the deadline and when the caller gives up; whoever takes it from the queue disposes it.</summary>
internal sealed class AgentRequest : IDisposable
{
    private readonly CancellationTokenSource _timer;
    private readonly CancellationTokenSource _either;

    public AgentRequest(string command, string? argumentsJson, bool silent, TimeSpan deadline, TimeProvider time, CancellationToken caller)
    {
        Command = command;
        ArgumentsJson = argumentsJson;
        Silent = silent;
        _timer = new CancellationTokenSource(deadline, time);
        _either = CancellationTokenSource.CreateLinkedTokenSource(_timer.Token, caller);
        Token = _either.Token;
    }

    public string Command { get; }
    public string? ArgumentsJson { get; }

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
}
