namespace Mgmt.Daemon;

/// <summary>How many calls of services there are at once: of one service, and by one VM. One more is refused, so that nobody's calls wait for another's.</summary>
internal sealed class ServiceLimits(int perService, int perVm)
{
    private readonly Lock _gate = new();
    // Under the gate; what nobody has is not in it.
    private readonly Dictionary<string, int> _services = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _vms = new(StringComparer.Ordinal);

    /// <summary>Enters a call; disposing takes it out. Null, and why, at a limit.</summary>
    internal IDisposable? TryEnter(string service, string vm, out string reason)
    {
        lock (_gate)
        {
            reason = _vms.GetValueOrDefault(vm) >= perVm ? $"{vm} has {perVm} calls of services already"
                : _services.GetValueOrDefault(service) >= perService ? $"{service} has {perService} callers already" : "";
            if (reason.Length > 0)
            {
                return null;
            }
            _vms[vm] = _vms.GetValueOrDefault(vm) + 1;
            _services[service] = _services.GetValueOrDefault(service) + 1;
            return new Entry(this, service, vm);
        }
    }

    private static void Decrease(Dictionary<string, int> counts, string key)
    {
        if (--counts[key] == 0)
        {
            counts.Remove(key);
        }
    }

    private sealed class Entry(ServiceLimits limits, string service, string vm) : IDisposable
    {
        private bool _hasLeft;

        public void Dispose()
        {
            lock (limits._gate)
            {
                if (!_hasLeft)
                {
                    _hasLeft = true;
                    Decrease(limits._services, service);
                    Decrease(limits._vms, vm);
                }
            }
        }
    }
}
