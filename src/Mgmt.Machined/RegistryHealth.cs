using System.Threading.Channels;
using Mgmt.Core;
using Mgmt.Machined.Bus;
using Microsoft.Extensions.Logging;

namespace Mgmt.Machined;

/// <summary>The status, as the last thing that happened made it.</summary>
internal sealed class RegistryHealth(bool enabled, TimeProvider time, ILogger log)
{
    private readonly Lock _gate = new();
    private readonly Channel<MachineRegistryStatus> _changes = Channel.CreateBounded<MachineRegistryStatus>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropOldest });
    private volatile MachineRegistryStatus _status = new(
        enabled ? "absent" : "off", enabled ? "not connected yet" : "switched off in the configuration", time.GetUtcNow());

    public MachineRegistryStatus Status => _status;

    public ChannelReader<MachineRegistryStatus> Changes => _changes.Reader;

    public void Complete() => _changes.Writer.TryComplete();

    public void Ok(string detail) => Set("ok", detail);

    public void Absent(string detail) => Set("absent", detail);

    public void Slow(string detail) => Set("slow", detail);

    /// <summary>What a failed call to machined says about machined. An error of its own is a sign of life.</summary>
    public void Note(BusFailure failure)
    {
        switch (failure)
        {
            // The bus, not machined: the loss of the bus has set the status, and perhaps its return since.
            case { Kind: BusFailureKind.NotSent or BusFailureKind.Lost }:
                break;
            case { Kind: BusFailureKind.Refused } when MachineCalls.IsAbsent(failure):
                Absent(failure.Message);
                break;
            case { Kind: BusFailureKind.Unanswered }:
                Slow(failure.Message);
                break;
            case { Kind: BusFailureKind.BadReply }:
                Slow($"not understood: {failure.Message}");
                break;
            default:
                Ok("answers");
                break;
        }
    }

    private void Set(string state, string detail)
    {
        lock (_gate)
        {
            var old = _status;
            if (old.State == state && old.Detail == detail)
            {
                return;
            }
            _status = new(state, detail, old.State == state ? old.Since : time.GetUtcNow());
            if (old.State == state)
            {
                return;
            }
            _changes.Writer.TryWrite(_status);
        }
        Log.Status(log, state, detail);
    }
}
