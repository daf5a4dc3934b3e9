using System.Threading.Channels;
using Mgmt.Core;

namespace Mgmt.Cli.Asking;

/// <summary>
/// An agent in a terminal: shows the questions of ask rules one after the other and answers what is pressed. Keys count only when they come one at a time and not
/// right after a question appeared, so neither a paste nor somebody who was just typing decides.
/// </summary>
internal sealed class PolicyAgent(Run run)
{
    private static readonly TimeSpan Guard = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan TickInterval = TimeSpan.FromSeconds(1);

    private readonly Channel<Message> _inbox = Channel.CreateBounded<Message>(new BoundedChannelOptions(256) { SingleReader = true });
    private readonly List<(AskedQuestion Question, long Since)> _waiting = [];
    private AskPrompt? _prompt;
    private long _since;
    private long _shown;

    /// <summary>Runs until the terminal or the right to answer is gone, or Ctrl-C.</summary>
    public async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await using var keys = run.Terminal.OpenKeys();
        Task[] sources = [FeedAsync(ToldAsync, over.Token), FeedAsync(token => PressedAsync(keys, token), over.Token), FeedAsync(TickAsync, over.Token)];
        try
        {
            await foreach (var message in _inbox.Reader.ReadAllAsync(cancellationToken))
            {
                if (await TakeAsync(message, cancellationToken) is { } exitCode)
                {
                    return exitCode;
                }
                await run.Output.FlushAsync(cancellationToken);
            }
            return ExitCode.Done;
        }
        finally
        {
            EndLine();
            await over.CancelAsync();
            await Task.WhenAll(sources);
        }
    }

    private async Task<int?> TakeAsync(Message message, CancellationToken cancellationToken)
    {
        switch (message)
        {
            case Message.Told(var told):
                return Take(told);
            case Message.Pressed(var key, var at) when _prompt is not null && run.Time.GetElapsedTime(_shown, at) >= Guard:
                if (_prompt.Press(key) is { } answer)
                {
                    await AnswerAsync(_prompt.Question, answer, cancellationToken);
                    ShowNext();
                }
                Refresh();
                return null;
            case Message.Tick:
                Expire();
                return null;
            case Message.Ended:
                return ExitCode.Done;
            default:
                return null;
        }
    }

    private int? Take(MgmtEvent told)
    {
        switch (told.Name)
        {
            case "connection-established":
                // What still waits is told anew.
                _waiting.Clear();
                Withdraw("the daemon was restarted");
                run.Output.Line("waiting for questions; Ctrl-C to leave");
                return null;
            case "policy-ask" when AskedQuestion.Parse(told) is { } question:
                _waiting.Add((question, run.Time.GetTimestamp()));
                ShowIfFree();
                Refresh();
                return null;
            case "policy-ask-ended":
                _waiting.RemoveAll(waiting => waiting.Question.Id == told["id"]);
                if (_prompt?.Question.Id == told["id"])
                {
                    Withdraw($"not needed any more: {AskedQuestion.Shown(told["outcome"] ?? "")}");
                    ShowNext();
                }
                Refresh();
                return null;
            case "stream-closed" when EventFollower.IsFinal(told):
                EndLine();
                run.Tell($"the daemon closed the stream: {told["reason"]}");
                return ExitCode.Denied;
            default:
                return null;
        }
    }

    private async Task AnswerAsync(AskedQuestion question, string answer, CancellationToken cancellationToken)
    {
        EndLine();
        try
        {
            await run.Daemon.CallAsync("mgmt.policy.Answer", question.Id, Daemon.Host, answer, cancellationToken);
            run.Output.Line(answer == "deny" ? "denied" : "allowed: " + AskedQuestion.Shown(answer["allow:".Length..]));
        }
        catch (MgmtException error)
        {
            run.Tell(error.Message);
        }
    }

    private void Expire()
    {
        _waiting.RemoveAll(waiting => run.Time.GetElapsedTime(waiting.Since) >= waiting.Question.Left);
        if (_prompt is not null && Left() <= TimeSpan.Zero)
        {
            Withdraw("denied: no answer in time");
            ShowNext();
        }
        Refresh();
    }

    private void ShowIfFree()
    {
        if (_prompt is null)
        {
            ShowNext();
        }
    }

    private void ShowNext()
    {
        _prompt = null;
        if (_waiting.Count == 0)
        {
            return;
        }
        (var question, _since) = _waiting[0];
        _waiting.RemoveAt(0);
        _prompt = new AskPrompt(question);
        _shown = run.Time.GetTimestamp();
        run.Output.Line("");
        foreach (var line in _prompt.Lines())
        {
            run.Output.Line(line);
        }
    }

    private TimeSpan Left() => _prompt!.Question.Left - run.Time.GetElapsedTime(_since);

    /// <summary>Writes the last line again, in its place.</summary>
    private void Refresh()
    {
        if (_prompt is not null)
        {
            run.Output.Part("\r" + _prompt.Status(Left(), _waiting.Count));
        }
    }

    private void Withdraw(string why)
    {
        if (_prompt is not null)
        {
            EndLine();
            run.Output.Line(why);
        }
    }

    private void EndLine()
    {
        if (_prompt is not null)
        {
            _prompt = null;
            run.Output.Line("");
        }
    }

    private async Task FeedAsync(Func<CancellationToken, Task> source, CancellationToken cancellationToken)
    {
        try
        {
            await source(cancellationToken);
            await _inbox.Writer.WriteAsync(new Message.Ended(), cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The end.
        }
        catch (Exception error)
        {
            _inbox.Writer.TryComplete(error);
        }
    }

    private async Task ToldAsync(CancellationToken cancellationToken)
    {
        var events = new EventFollower(run.Daemon, run.Time).FollowAsync(_ => run.Daemon.QuestionsAsync(cancellationToken), null, cancellationToken);
        await foreach (var told in events)
        {
            await _inbox.Writer.WriteAsync(new Message.Told(told), cancellationToken);
        }
    }

    private async Task PressedAsync(Stream keys, CancellationToken cancellationToken)
    {
        var buffer = new byte[64];
        while (await keys.ReadAsync(buffer, cancellationToken) is > 0 and var read)
        {
            if (read == 1)
            {
                await _inbox.Writer.WriteAsync(new Message.Pressed(buffer[0], run.Time.GetTimestamp()), cancellationToken);
            }
        }
    }

    private async Task TickAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(TickInterval, run.Time);
        while (await timer.WaitForNextTickAsync(cancellationToken))
        {
            await _inbox.Writer.WriteAsync(new Message.Tick(), cancellationToken);
        }
    }

    private abstract record Message
    {
        internal sealed record Told(MgmtEvent Event) : Message;

        internal sealed record Pressed(byte Key, long At) : Message;

        internal sealed record Tick : Message;

        internal sealed record Ended : Message;
    }
}
