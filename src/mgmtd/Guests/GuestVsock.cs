using Mgmt.Qrexec;
using Microsoft.Extensions.Logging;

namespace Mgmt.Daemon;

/// <summary>
/// Calls of guests over vsock: one socket for all VMs, each known by the CID that its process holds. A host that cannot have the socket is served without: virtio-serial is there all the same.
/// </summary>
internal sealed class GuestVsock : IDisposable
{
    private readonly VsockListener? _listener;
    private readonly VsockServer? _server;

    private GuestVsock(VsockListener? listener, VsockServer? server, IReadOnlyList<string> missing) => (_listener, _server, Missing) = (listener, server, missing);

    /// <summary>Why there is no socket, although there should be one.</summary>
    internal IReadOnlyList<string> Missing { get; }

    /// <summary>Opens it if it is set.</summary>
    internal static GuestVsock Open(DaemonSettings settings, TimeProvider clock, ILoggerFactory logs)
    {
        if (!settings.GuestVsock || settings.IsTest)
        {
            return new(null, null, []);
        }
        var log = logs.CreateLogger<GuestVsock>();
        try
        {
            var listener = VsockListener.Open(VsockListener.Port);
            return new(listener, new VsockServer(listener, Math.Max(1, settings.GuestPorts), new PortLimits(), clock, log), []);
        }
        catch (IOException error)
        {
            Log.NoVsock(log, error.Message);
            return new(null, null, [$"guests cannot call over vsock: {error.Message}"]);
        }
    }

    /// <summary>Takes connections until the token ends.</summary>
    internal Task RunAsync(CancellationToken stopping) => _server?.RunAsync(stopping) ?? Task.CompletedTask;

    /// <summary>The CID is that VM until the token ends, which is at the latest when its process does.</summary>
    internal async Task ServeAsync(uint cid, string vm, IGuestCallHandler calls, CancellationToken over)
    {
        if (_server is null)
        {
            return;
        }
        using var registered = _server.Register(cid, vm, calls);
        await Task.WhenAny(Task.Delay(Timeout.InfiniteTimeSpan, over));
    }

    public void Dispose() => _listener?.Dispose();
}
