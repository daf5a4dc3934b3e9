namespace Mgmt.Qrexec;

/// <summary>
/// What of an agent's control channel outlives the daemon: the channel itself, which data channels are taken, what was asked and not answered, and the message that has only begun.
/// Written down before it is acted on. Null <paramref name="kept"/>: the channel ends with the daemon.
/// </summary>
internal sealed class KeptLink(IKeptControl? kept, LinkPorts ports)
{
    private readonly Lock _gate = new();
    // Under the gate.
    private readonly HashSet<CallIdent> _unanswered = [];
    private ReadOnlyMemory<byte> _unfinished;
    private int _version;

    /// <summary>The channel of an earlier daemon and its state; null when there is none that can be gone on with.</summary>
    internal Stream? Take(out LinkState? state)
    {
        state = null;
        if (kept?.Take() is not { } left)
        {
            return null;
        }
        state = LinkState.TryRead(left.State.Span);
        if (state is null)
        {
            left.Control.Dispose();
            return null;
        }
        lock (_gate)
        {
            // The next daemon may have to go on with it in its turn, before anything more is heard.
            _version = state.Version;
            _unanswered.UnionWith(state.Unanswered);
            _unfinished = state.Unfinished;
        }
        return left.Control;
    }

    /// <summary>Has a new channel kept, from now on.</summary>
    internal Stream Keep(Stream control) => kept?.Keep(control) ?? control;

    /// <summary>What was heard on it by now, of the version spoken: calls that wait for their answer, and what a message has begun with.</summary>
    internal void Heard(int version, IEnumerable<TriggerService> calls, ReadOnlyMemory<byte> unfinished)
    {
        lock (_gate)
        {
            _version = version;
            _unanswered.UnionWith(calls.Where(call => call.Ident is not null).Select(call => call.Ident!.Value));
            _unfinished = unfinished;
        }
        WriteDown();
    }

    /// <summary>A call gets its answer now, once that is written down.</summary>
    internal void Answers(CallIdent ident)
    {
        lock (_gate)
        {
            _unanswered.Remove(ident);
        }
    }

    /// <summary>Writes down what is, before a message is sent that says so.</summary>
    internal void WriteDown()
    {
        if (kept is null)
        {
            return;
        }
        lock (_gate)
        {
            kept.Write(new LinkState(_version, ports.Taken(), _unanswered, _unfinished).ToBytes());
        }
    }

    /// <summary>The channel has ended.</summary>
    internal void Forget()
    {
        kept?.Forget();
        lock (_gate)
        {
            _unanswered.Clear();
            _unfinished = default;
        }
    }
}
