using System.Collections.Concurrent;
using System.Threading.Channels;
using Mgmt.Core;

namespace Mgmt.Api.Tests.Asking;

/// <summary>An agent behind a socket whose answers the test gives.</summary>
internal sealed class SocketAgent : IAskSocket
{
    private readonly Channel<(AskQuestion Question, TaskCompletionSource<string?> Answer)> _asked = Channel.CreateUnbounded<(AskQuestion, TaskCompletionSource<string?>)>();

    public string Name => "socket";

    /// <summary>Questions that were given up before they were answered.</summary>
    internal ConcurrentQueue<string> GivenUp { get; } = [];

    internal int Asked { get; private set; }

    public async Task<string?> AskAsync(AskQuestion question, CancellationToken cancellation)
    {
        Asked++;
        var answer = new TaskCompletionSource<string?>(TaskCreationOptions.RunContinuationsAsynchronously);
        _asked.Writer.TryWrite((question, answer));
        try
        {
            return await answer.Task.WaitAsync(cancellation);
        }
        catch (OperationCanceledException)
        {
            GivenUp.Enqueue(question.Id);
            throw;
        }
    }

    internal async Task<(AskQuestion Question, TaskCompletionSource<string?> Answer)> NextAsync()
    {
        using var limit = new CancellationTokenSource(Daemon.Deadline);
        return await _asked.Reader.ReadAsync(limit.Token);
    }
}

/// <summary>An agent at the end of a stream.</summary>
internal sealed class StreamedAgent : IEventSink
{
    private readonly Channel<MgmtEvent> _events = Channel.CreateUnbounded<MgmtEvent>();
    private readonly CancellationTokenSource _gone = new();

    private StreamedAgent()
    {
    }

    internal Task<CallResult> Stream { get; private set; } = null!;

    /// <summary>Opens the stream and waits until it is established.</summary>
    internal static async Task<StreamedAgent> OpenAsync(Daemon daemon, string source = "dom0")
    {
        var agent = new StreamedAgent();
        agent.Stream = Serve(daemon, source, agent);
        Assert.That((await agent.NextAsync()).Name, Is.EqualTo("connection-established"));
        return agent;
    }

    internal async Task<MgmtEvent> NextAsync()
    {
        using var limit = new CancellationTokenSource(Daemon.Deadline);
        return await _events.Reader.ReadAsync(limit.Token);
    }

    internal bool HasMore => _events.Reader.TryPeek(out _);

    internal async Task LeaveAsync()
    {
        await _gone.CancelAsync();
        await Stream;
    }

    public ValueTask SendAsync(MgmtEvent happened, EventCursor? cursor, CancellationToken cancellation) => _events.Writer.WriteAsync(happened, cancellation);

    public ValueTask FlushAsync(CancellationToken cancellation) => ValueTask.CompletedTask;

    private static async Task<CallResult> Serve(Daemon daemon, string source, StreamedAgent agent)
    {
        var session = daemon.Dispatcher.Open(new("mgmt.policy.Agent", "", source, false, "dom0"), Daemon.Root);
        return await daemon.Dispatcher.RunAsync(session, new(default, null, agent, () => false), agent._gone.Token);
    }
}
