using System.Collections.Concurrent;
using Mgmt.Api;
using Mgmt.Core;
using Mgmt.Qrexec;
using Mgmt.State;
using Microsoft.Extensions.Logging;

namespace Mgmt.Daemon;

/// <summary>Serves the calls of every VM that runs, on whatever channels its process has, from its start or adoption to its end.</summary>
internal sealed class GuestServer(SessionTable sessions, StateStore store, Dispatcher dispatcher, ServiceCalls services, GuestServices agents, GuestChannels shown, GuestTransports transports, DaemonSettings settings, TimeProvider clock, ILoggerFactory logs)
{
    /// <summary>Calls in flight, those included that run to their end after their caller went away.</summary>
    private const int CallsPerPort = 4;
    private static readonly TimeSpan DrainDeadline = TimeSpan.FromSeconds(10);
    private readonly ConcurrentDictionary<VmSession, Task> _serving = new();
    private readonly ILogger<GuestServer> _log = logs.CreateLogger<GuestServer>();

    /// <summary>Serves until the token ends; then the calls under way have a while to end. Begin before the first VM is adopted.</summary>
    internal async Task RunAsync(CancellationToken stopping)
    {
        void Serve(VmSession session) => _serving[session] = Task.Run(() => ServeAsync(session, stopping), CancellationToken.None);
        sessions.Began += Serve;
        try
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, clock, stopping);
        }
        catch (OperationCanceledException)
        {
            // The daemon stops.
        }
        sessions.Began -= Serve;
        try
        {
            await Task.WhenAll(_serving.Values).WaitAsync(DrainDeadline, clock, CancellationToken.None);
        }
        catch (TimeoutException)
        {
            // A change that runs to its end is found by the next daemon as it was left.
        }
    }

    private async Task ServeAsync(VmSession session, CancellationToken stopping)
    {
        try
        {
            if (store.Current.Find(session.Name) is { } vm)
            {
                using var over = CancellationTokenSource.CreateLinkedTokenSource(stopping);
                var kept = new KeptControl(session.Vm.Run, transports.Descriptors);
                var calls = CallsOf(session, vm);
                var channels = new VmChannels(calls, () => agents.Uses(session), clock);
                using var known = shown.Enter(session.Name, channels.Write);
                var serving = Task.WhenAll(Channels(session, vm, channels, kept, over.Token));
                await Task.WhenAny(serving, session.Vm.Exited);
                if (session.Vm.Exited.IsCompleted)
                {
                    await over.CancelAsync();
                    kept.Forget();
                }
                await serving;
            }
        }
        catch (Exception error)
        {
            Log.GuestCallFailed(_log, session.Name.Value, error);
        }
        finally
        {
            _serving.TryRemove(session, out _);
        }
    }

    /// <summary>One set of limits for all channels of a VM.</summary>
    private GuestCalls CallsOf(VmSession session, VmRecord vm)
    {
        var caller = new Caller((uint)(settings.IsSession ? (int)Native.GetEffectiveUid() : settings.UidBase + vm.Qid), session.Vm.Run.Pid, CallerRole.VmFrontEnd);
        return new(session.Name, caller, CallsPerPort * Math.Max(1, settings.GuestPorts), dispatcher, services, settings, clock, logs.CreateLogger<GuestCalls>());
    }

    private IEnumerable<Task> Channels(VmSession session, VmRecord vm, VmChannels channels, KeptControl kept, CancellationToken over)
    {
        var name = session.Name.Value;
        if (session.Vm.Ports is { Count: > 0 } ports)
        {
            channels.Ports = new GuestPortSet(name, new KeptPorts(ports, session.Vm.Run, transports.Descriptors), channels.Calls, new PortLimits(), clock, logs.CreateLogger<GuestPortSet>());
            yield return channels.Ports.RunAsync(over);
        }
        if (session.Vm.VsockCid is { } cid)
        {
            yield return transports.Vsock.ServeAsync(cid, name, channels.Calls, over);
        }
        if (transports.Agents is { } links)
        {
            channels.Link = links.Add(session, (uint)vm.Qid, channels.Calls, kept);
            yield return channels.Link.RunAsync(over);
        }
    }
}
