using System.Threading.Channels;
using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Qrexec;

/// <summary>
/// All ports of one running VM. What QEMU tells of a port comes late and not always. With a time it says that calls before it are over; without, that it was closed is only a reason to ask, a moment later:
/// that the guest opened it again meanwhile is seen in the port's own stream. Nothing polls.
/// </summary>
public sealed class GuestPortSet
{
    private static readonly TimeSpan Settling = TimeSpan.FromMilliseconds(200);

    private readonly string _vm;
    private readonly IGuestPorts _ports;
    private readonly GuestPort[] _served;
    private readonly int[] _isAsked;
    // When the guest last opened or closed a port, as far as it was told, in ticks of UTC.
    private readonly long[] _changed;
    // Each port is in it at most once.
    private readonly Channel<int> _asked;
    private readonly TimeProvider _clock;
    private readonly ILogger _log;

    /// <summary>The ports of the VM, whose calls <paramref name="handler"/> serves.</summary>
    public GuestPortSet(string vm, IGuestPorts ports, IGuestCallHandler handler, PortLimits limits, TimeProvider clock, ILogger log)
    {
        (_vm, _ports, _clock, _log) = (vm, ports, clock, log);
        _served = [.. Enumerable.Range(0, ports.Count).Select(i => new GuestPort($"{vm} port {i}", token => ports.ConnectAsync(i, token), handler, limits, clock, log))];
        _isAsked = new int[ports.Count];
        _changed = new long[ports.Count];
        _asked = Channel.CreateBounded<int>(new BoundedChannelOptions(Math.Max(1, ports.Count)) { SingleReader = true });
    }

    /// <summary>How the ports are now, by number.</summary>
    public IEnumerable<PortState> States => _served.Select((port, i) => new PortState(port.IsConnected, port.Call is not null ? true : _ports.IsOpen(i), port.Call));

    /// <summary>Serves until the token ends, then waits for the calls under way. Never throws.</summary>
    public async Task RunAsync(CancellationToken stopping)
    {
        _ports.Changed += Hear;
        for (var i = 0; i < _served.Length; i++)
        {
            var port = i;
            _served[i].FoundInput += () => Ask(port);
        }
        try
        {
            await Task.WhenAll([FollowClosesAsync(stopping), .. _served.Select(port => port.RunAsync(stopping))]);
        }
        finally
        {
            _ports.Changed -= Hear;
        }
    }

    private void Hear(GuestPortChange change)
    {
        if (change.Port >= _served.Length)
        {
            return;
        }
        if (change.At is { } at)
        {
            Interlocked.Exchange(ref _changed[change.Port], at.UtcTicks);
        }
        if (!change.IsOpen || (change.At is { } opened && _served[change.Port].IsOlderThan(opened)))
        {
            Ask(change.Port);
        }
    }

    private void Ask(int port)
    {
        if (Interlocked.Exchange(ref _isAsked[port], 1) == 0)
        {
            _asked.Writer.TryWrite(port);
        }
    }

    private async Task FollowClosesAsync(CancellationToken stopping)
    {
        try
        {
            await foreach (var port in _asked.Reader.ReadAllAsync(stopping))
            {
                // What the guest wrote before it closed the port comes another way, and may still be on it.
                await Task.Delay(Settling, _clock, stopping);
                Volatile.Write(ref _isAsked[port], 0);
                await CheckAsync(port, stopping);
            }
        }
        catch (OperationCanceledException)
        {
            // Stopping.
        }
    }

    private async Task CheckAsync(int port, CancellationToken stopping)
    {
        try
        {
            var generation = _served[port].Generation;
            if (_served[port].IsOlderThan(new(Interlocked.Read(ref _changed[port]), TimeSpan.Zero)))
            {
                _served[port].Closed(generation);
                return;
            }
            if (_served[port].IsTaken && !await _ports.IsOpenAsync(port, stopping))
            {
                _served[port].Closed(generation);
            }
        }
        catch (MgmtException error)
        {
            Log.ChannelLost(_log, $"{_vm} port {port}", error.Message);
            if (error.Code == ErrorCode.MgmtTimeoutError)
            {
                // Its monitor was busy; one that is lost is connected anew, and then all are asked about.
                Ask(port);
            }
        }
    }
}
