namespace Mgmt.Daemon;

/// <summary>
/// The agent ports of one VM. A source may hold all but one of them, or the only one; what it calls beyond that waits for its own calls. Who waits is served in turn.
/// </summary>
internal sealed class AgentPorts
{
    private readonly Lock _gate = new();
    // Under the gate.
    private readonly SortedSet<int> _free;
    private readonly Dictionary<string, int> _held = new(StringComparer.Ordinal);
    private readonly LinkedList<Waiter> _waiting = new();
    private readonly PortUse[] _uses;
    private readonly int _perSource;

    internal AgentPorts(int count)
    {
        _free = [.. Enumerable.Range(0, count)];
        _uses = Unused(count);
        _perSource = Math.Max(1, count - 1);
    }

    /// <summary>Who has them, by number.</summary>
    internal IReadOnlyList<PortUse> Uses
    {
        get
        {
            lock (_gate)
            {
                return [.. _uses];
            }
        }
    }

    internal static PortUse[] Unused(int count) => [.. Enumerable.Range(0, count).Select(port => new PortUse(port, null, 0))];

    /// <summary>Waits for a port for a call of a source's, until the token ends.</summary>
    internal async Task<Held> TakeAsync(string source, long call, CancellationToken cancellation)
    {
        var waiter = new Waiter(source, call);
        lock (_gate)
        {
            _waiting.AddLast(waiter);
            Serve();
        }
        try
        {
            return await waiter.Task.WaitAsync(cancellation);
        }
        catch (OperationCanceledException)
        {
            lock (_gate)
            {
                _waiting.Remove(waiter);
            }
            if (waiter.Task.IsCompletedSuccessfully)
            {
                waiter.Task.Result.Dispose();
            }
            throw;
        }
    }

    private void Serve()
    {
        for (var node = _waiting.First; node is not null && _free.Count > 0;)
        {
            var (waiter, next) = (node.Value, node.Next);
            if (_held.GetValueOrDefault(waiter.Source) < _perSource)
            {
                var port = _free.Min;
                _free.Remove(port);
                _held[waiter.Source] = _held.GetValueOrDefault(waiter.Source) + 1;
                _uses[port] = new(port, waiter.Source, waiter.Call);
                _waiting.Remove(node);
                waiter.SetResult(new Held(this, port, waiter.Source));
            }
            node = next;
        }
    }

    private void Return(Held held)
    {
        lock (_gate)
        {
            _free.Add(held.Port);
            _uses[held.Port] = new(held.Port, null, 0);
            if (--_held[held.Source] == 0)
            {
                _held.Remove(held.Source);
            }
            Serve();
        }
    }

    private sealed class Waiter(string source, long call) : TaskCompletionSource<Held>(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        internal string Source => source;

        internal long Call => call;
    }

    /// <summary>A port, whose it is, and for which of its calls; null and 0 when it is free.</summary>
    internal sealed record PortUse(int Port, string? Source, long Call);

    /// <summary>A port that is somebody's; disposing gives it back.</summary>
    internal sealed class Held(AgentPorts ports, int port, string source) : IDisposable
    {
        private int _isReturned;

        internal int Port => port;

        internal string Source => source;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _isReturned, 1) == 0)
            {
                ports.Return(this);
            }
        }
    }
}
