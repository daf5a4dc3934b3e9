using System.Globalization;
using System.Net.Sockets;
using Mgmt.Core;

namespace Mgmt.Daemon;

/// <summary>
/// Ports whose connections outlive the daemon: a process in the guest that holds a port sees no hang-up when the daemon is restarted, and what it writes meanwhile is waited for in the port.
/// What is kept belongs to one process of the VM, known by pid and start time.
/// </summary>
internal sealed class KeptPorts(IGuestPorts ports, VmRun run, DescriptorStore store) : IGuestPorts
{
    public event Action<GuestPortChange>? Changed
    {
        add => ports.Changed += value;
        remove => ports.Changed -= value;
    }

    public int Count => ports.Count;

    public int AgentCount => ports.AgentCount;

    public async Task<Stream> ConnectAsync(int port, CancellationToken cancellation)
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"port-{run.Pid}-{run.StartTicks}-{port}");
        if (store.TakeSocket(name) is { } kept)
        {
            return new KeptStream(kept);
        }
        // One that was kept was given up: while a copy of it is open, QEMU takes no other.
        store.Forget(name);
        var stream = await ports.ConnectAsync(port, cancellation);
        if (stream is not NetworkStream { Socket: var socket })
        {
            return stream;
        }
        store.Keep(name, socket.SafeHandle);
        return new KeptStream(socket);
    }

    public Task<Stream> ConnectAgentAsync(int port, CancellationToken cancellation) => ports.ConnectAgentAsync(port, cancellation);

    public Task<bool> IsOpenAsync(int port, CancellationToken cancellation) => ports.IsOpenAsync(port, cancellation);

    public bool? IsOpen(int port) => ports.IsOpen(port);
}
