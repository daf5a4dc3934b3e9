using Mgmt.Qrexec;

namespace Mgmt.Daemon;

/// <summary>Runs a command in a guest to its end, on a channel that was opened for it.</summary>
internal delegate Task<int> RunInGuest(Stream input, Func<MessageType, ReadOnlyMemory<byte>, CancellationToken, ValueTask> output, CancellationToken cancellation);

/// <summary>A service in a guest whose channel is open; disposing closes that.</summary>
internal sealed class GuestService(RunInGuest run, Func<ValueTask> close) : IService, IAsyncDisposable
{
    /// <summary>For an agent that announced itself to answer.</summary>
    internal static readonly TimeSpan AnswerDeadline = TimeSpan.FromSeconds(30);

    public Task<int> RunAsync(GuestCall call, CancellationToken cancellation) => run(
        call.Input.AsStream(leaveOpen: true), (stream, bytes, token) => stream == MessageType.DataStderr ? call.WriteErrorAsync(bytes, token) : call.WriteAsync(bytes, token), cancellation);

    public ValueTask DisposeAsync() => close();
}

/// <summary>What a guest is asked to run. SHAPE: <c>USER:COMMAND</c>; without a user it is whoever the agent takes for the default one.</summary>
internal sealed record GuestCommandLine(string? User, string Command)
{
    internal string Text => $"{User ?? "DEFAULT"}:{Command}";
}
