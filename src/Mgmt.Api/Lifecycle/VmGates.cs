using System.Collections.Concurrent;

namespace Mgmt.Api;

/// <summary>One gate per VM: a change of one VM waits for that VM's gate only.</summary>
public sealed class VmGates
{
    private readonly ConcurrentDictionary<VmName, SemaphoreSlim> _gates = new();

    /// <summary>How long a call waits for another operation on the same VM.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Waits for the gate; disposing leaves it. ERRORS: MgmtBusyError when another operation holds it too long.</summary>
    public async Task<IDisposable> EnterAsync(VmName name, CancellationToken cancellation)
    {
        var gate = _gates.GetOrAdd(name, _ => new SemaphoreSlim(1, 1));
        return await gate.WaitAsync(Patience, cancellation)
            ? new Leave(gate)
            : throw new MgmtException(ErrorCode.MgmtBusyError, "Another operation on %s did not end within %s s", name.Value, Patience.TotalSeconds.ToString(System.Globalization.CultureInfo.InvariantCulture));
    }

    private sealed class Leave(SemaphoreSlim gate) : IDisposable
    {
        private SemaphoreSlim? _gate = gate;

        public void Dispose() => Interlocked.Exchange(ref _gate, null)?.Release();
    }
}
