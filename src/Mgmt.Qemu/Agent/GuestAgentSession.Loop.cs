using System.Text.Json;
using Mgmt.Core;

namespace Mgmt.Qemu;

internal sealed partial class GuestAgentSession
{
    private const string FreezeStatus = "guest-fsfreeze-status";
    private static readonly byte[] Ping = JsonCommand.Write("guest-ping", null, null, null);

    private async Task RunAsync(CancellationToken stop)
    {
        var pause = _times.FirstPause;
        while (!stop.IsCancellationRequested)
        {
            if (!PortIsOpen)
            {
                FailQueued();
                // A guest that boots anew is not frozen.
                _mayBeFrozen = false;
                pause = _times.FirstPause;
                await SleepAsync(Timeout.InfiniteTimeSpan, stop);
            }
            else if (State != AgentState.Ready)
            {
                FailQueued();
                var reached = await TryReachAsync(stop);
                if (!reached && PortIsOpen)
                {
                    await SleepAsync(pause, stop);
                }
                pause = reached ? _times.FirstPause : pause * 2 < _times.LongestPause ? pause * 2 : _times.LongestPause;
            }
            else if (_freezing.Reader.TryRead(out var request) || (!_mayBeFrozen && _queue.Reader.TryRead(out request)))
            {
                using (request)
                {
                    await ServeAsync(request, stop);
                }
            }
            else
            {
                await SleepAsync(Timeout.InfiniteTimeSpan, stop);
            }
        }
    }

    private bool PortIsOpen
    {
        get
        {
            lock (_gate)
            {
                return _portOpen;
            }
        }
    }

    private CancellationToken PortClosedToken
    {
        get
        {
            lock (_gate)
            {
                return _portClosed.Token;
            }
        }
    }

    // Ready only after an answer to the sync and to a ping after it.
    private async Task<bool> TryReachAsync(CancellationToken stop)
    {
        using var timer = new CancellationTokenSource(_times.Sync, _time);
        var portClosed = PortClosedToken;
        using var any = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, portClosed, stop);
        try
        {
            _outOfStep = true;
            _channel ??= new AgentChannel(await _connect(any.Token));
            await _channel.SyncAsync(any.Token);
            await _channel.CallAsync("guest-ping", Ping, any.Token);
            _outOfStep = false;
            lock (_gate)
            {
                if (!_portOpen || portClosed.IsCancellationRequested)
                {
                    return false;
                }
                Become(AgentState.Ready);
            }
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
        catch (Exception e) when (e is MgmtException or AgentNonsenseException)
        {
            Log.AgentUnreachable(_log, e);
            return false;
        }
        catch (Exception e) when (e is IOException or System.Net.Sockets.SocketException)
        {
            Log.AgentUnreachable(_log, e);
            await DropChannelAsync();
            return false;
        }
    }

    private async Task ServeAsync(AgentRequest request, CancellationToken stop)
    {
        if (request.Token.IsCancellationRequested)
        {
            return;
        }
        using var any = CancellationTokenSource.CreateLinkedTokenSource(request.Token, PortClosedToken, stop);
        try
        {
            if (_outOfStep || _channel!.HasUnread)
            {
                await _channel!.SyncAsync(any.Token);
            }
            _outOfStep = true;
            if (request.Silent)
            {
                await SendSilentAsync(request, any.Token);
                return;
            }
            _mayBeFrozen |= request.Command is "guest-fsfreeze-freeze" or "guest-fsfreeze-freeze-list";
            var answer = await _channel!.CallAsync(request.Command, request.Bytes, any.Token);
            _outOfStep = false;
            _mayBeFrozen &= !SaysThawed(request.Command, answer);
            request.Done.TrySetResult(answer);
        }
        catch (MgmtException e)
        {
            // The agent's own error is an answer: still in step.
            _outOfStep = false;
            // One that cannot say whether it is frozen cannot freeze.
            _mayBeFrozen &= !(request.Command == FreezeStatus && e.Code == ErrorCode.MgmtUnsupportedError);
            request.Done.TrySetException(e);
        }
        catch (OperationCanceledException)
        {
            request.Done.TrySetException(Unavailable());
            if (request.TimedOut)
            {
                LoseIfOpen();
            }
        }
        catch (AgentNonsenseException e)
        {
            request.Done.TrySetException(new MgmtException(e, ErrorCode.MgmtUnavailableError, "the guest agent breaks its protocol: %s", e.Message));
            LoseIfOpen();
        }
        catch (IOException e)
        {
            request.Done.TrySetException(new MgmtException(e, ErrorCode.MgmtUnavailableError, "the guest agent went away"));
            await DropChannelAsync();
            LoseIfOpen();
        }
    }

    private static bool SaysThawed(string command, JsonElement answer) =>
        command == "guest-fsfreeze-thaw" || (command == FreezeStatus && answer.ValueKind == JsonValueKind.String && answer.ValueEquals("thawed"));

    // guest-shutdown and its like: an error comes at once, success is silence or the end of the agent.
    private async Task SendSilentAsync(AgentRequest request, CancellationToken any)
    {
        await _channel!.WriteAsync(request.Bytes, any);
        using var timer = new CancellationTokenSource(_times.SilentSuccess ?? AgentCommands.Find(request.Command)?.Listening ?? TimeSpan.FromMilliseconds(500), _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, any);
        try
        {
            await _channel.AnswerAsync(request.Command, either.Token);
            _outOfStep = false;
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or AgentNonsenseException)
        {
            // No error was said. Whatever comes later is skipped by the sync before the next command.
        }
        request.Done.TrySetResult(default);
    }

    private void LoseIfOpen()
    {
        lock (_gate)
        {
            if (_state == AgentState.Ready)
            {
                Become(AgentState.Lost);
            }
        }
    }

    private void FailQueued()
    {
        while (_freezing.Reader.TryRead(out var request) || _queue.Reader.TryRead(out request))
        {
            request.Done.TrySetException(Unavailable());
            request.Dispose();
        }
    }

    private async Task DropChannelAsync()
    {
        if (_channel is not null)
        {
            await _channel.DisposeAsync();
            _channel = null;
        }
    }

    private async Task SleepAsync(TimeSpan limit, CancellationToken stop)
    {
        using var timer = new CancellationTokenSource(limit, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, stop);
        try
        {
            await _wake.Reader.ReadAsync(either.Token);
        }
        catch (OperationCanceledException)
        {
        }
    }
}
