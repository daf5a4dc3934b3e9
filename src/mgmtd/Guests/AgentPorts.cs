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
    private readonly int _perSource;

    internal AgentPorts(int count)
    {
        _free = [.. Enumerable.Range(0, count)];
        _perSource = Math.Max(1, count - 1);
    }

    /// <summary>Waits for a port, until the token ends.</summary>
    internal async Task<Held> TakeAsync(string source, CancellationToken cancellation)
    {
        var waiter = new Waiter(source);
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
            if (--_held[held.Source] == 0)
            {
                _held.Remove(held.Source);
            }
            Serve();
        }
    }

    private sealed class Waiter(string source) : TaskCompletionSource<Held>(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        internal string Source => source;
    }

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
