
namespace Mgmt.Api;

/// <summary>One gate per VM: a change of one VM waits for that VM's gate only.</summary>
public sealed class VmGates
{
    private readonly Lock _lock = new();
    // Guarded by _lock. A gate is there while somebody holds it or waits for it.
    private readonly Dictionary<VmName, Gate> _gates = [];

    /// <summary>How long a call waits for another operation on the same VM.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Waits for the gate; disposing leaves it. ERRORS: MgmtBusyError when another operation holds it too long.</summary>
    public async Task<IDisposable> EnterAsync(VmName name, CancellationToken cancellation)
    {
        var gate = Take(name);
        var entered = false;
        try
        {
            entered = await gate.Turn.WaitAsync(Patience, cancellation);
        }
        finally
        {
            if (!entered)
            {
                Return(gate);
            }
        }
        return entered
            ? new Leave(this, gate)
            : throw new MgmtException(ErrorCode.MgmtBusyError, "Another operation on %s did not end within %s s", name.Value, Patience.TotalSeconds.ToString(System.Globalization.CultureInfo.InvariantCulture));
    }

    /// <summary>Enters the gate if nobody holds it, else gives null; disposing leaves it.</summary>
    public IDisposable? TryEnter(VmName name)
    {
        var gate = Take(name);
        if (gate.Turn.Wait(0, CancellationToken.None))
        {
            return new Leave(this, gate);
        }
        Return(gate);
        return null;
    }

    /// <summary>How many VMs have an operation under way.</summary>
    internal int Count
    {
        get
        {
            lock (_lock)
            {
                return _gates.Count;
            }
        }
    }

    private Gate Take(VmName name)
    {
        lock (_lock)
        {
            if (!_gates.TryGetValue(name, out var gate))
            {
                _gates[name] = gate = new Gate(name);
            }
            gate.Users++;
            return gate;
        }
    }

    private void Return(Gate gate)
    {
        lock (_lock)
        {
            if (--gate.Users == 0)
            {
                _gates.Remove(gate.Name);
            }
        }
    }

    private sealed class Gate(VmName name)
    {
        internal VmName Name => name;
        internal SemaphoreSlim Turn { get; } = new(1, 1);
        internal int Users { get; set; }
    }

    private sealed class Leave(VmGates gates, Gate gate) : IDisposable
    {
        private Gate? _gate = gate;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _gate, null) is { } held)
            {
                held.Turn.Release();
                gates.Return(held);
            }
        }
    }
}
