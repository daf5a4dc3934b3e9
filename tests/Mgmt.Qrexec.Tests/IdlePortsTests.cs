using System.Diagnostics;
using System.Net.Sockets;
using Mgmt.Core;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mgmt.Qrexec.Tests;

/// <summary>Figures of what VMs cost that do not call.</summary>
[NonParallelizable]
public sealed class IdlePortsTests
{
    private const int Vms = 200, PortsEach = 8;
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60), Window = TimeSpan.FromSeconds(1);

    [Test]
    public async Task Two_hundred_vms_that_do_not_call_cost_their_sockets_and_do_nothing()
    {
        using var far = new FarEnds();
        using var stop = new CancellationTokenSource();
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var sets = Enumerable.Range(0, Vms).Select(i => new GuestPortSet($"vm {i}", far, new NoCalls(), new PortLimits(), TimeProvider.System, NullLogger.Instance)).ToList();
        var running = Task.WhenAll(sets.Select(set => set.RunAsync(stop.Token)));
        await far.AllAreAnnouncedAsync(Vms * PortsEach).WaitAsync(Deadline);
        Assert.That(sets.SelectMany(set => set.States), Has.All.Property(nameof(PortState.IsConnected)).True);
        var perVm = (GC.GetTotalMemory(forceFullCollection: true) - before) / Vms;

        // The first of them may still have the runtime's own work in it, such as compiling.
        var (processor, allocated) = (TimeSpan.MaxValue, long.MaxValue);
        for (var round = 0; round < 3; round++)
        {
            var one = await MeasureAsync();
            (processor, allocated) = (one.Processor < processor ? one.Processor : processor, Math.Min(one.Allocated, allocated));
        }
        await TestContext.Out.WriteLineAsync($"{Vms} VMs with {PortsEach} ports: {perVm / 1024.0:F1} KiB each, both ends of the sockets included; {processor.TotalMilliseconds:F0} ms of processor time and {allocated} bytes allocated in {Window.TotalSeconds:F0} s");
        Assert.That(perVm, Is.LessThan(256 * 1024));
        Assert.That(allocated, Is.LessThan(Vms * PortsEach * 100), "each port did something");
        Assert.That(far.Said, Is.Zero, "nothing is said to a guest that does not call");
        await stop.CancelAsync();
        await running.WaitAsync(Deadline);
    }

    /// <summary>What the process does in a while in which nothing happens.</summary>
    private static async Task<(TimeSpan Processor, long Allocated)> MeasureAsync()
    {
        using var self = Process.GetCurrentProcess();
        var (processor, allocated) = (self.TotalProcessorTime, GC.GetTotalAllocatedBytes(precise: true));
        // Nothing is waited for: this is how long is measured.
        await Task.Delay(Window);
        self.Refresh();
        return (self.TotalProcessorTime - processor, GC.GetTotalAllocatedBytes(precise: true) - allocated);
    }

    private sealed class NoCalls : IGuestCallHandler
    {
        public GuestPace Pace { get; } = new(TimeProvider.System);

        public Task ServeAsync(GuestCall call, CancellationToken cancellation) => throw new InvalidOperationException("nobody calls");
    }

    /// <summary>What the VMs' processes would hold.</summary>
    private sealed class FarEnds : IGuestPorts, IDisposable
    {
        private readonly string _path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        private readonly List<Socket> _ends = [];

        public FarEnds()
        {
            _listener.Bind(new UnixDomainSocketEndPoint(_path));
            _listener.Listen(Vms * PortsEach);
        }

        public event Action<GuestPortChange>? Changed
        {
            add { }
            remove { }
        }

        public int Count => PortsEach;

        public int AgentCount => 0;

        /// <summary>Bytes that came after the announcements.</summary>
        public int Said => _ends.Sum(end => end.Available);

        public async Task<Stream> ConnectAsync(int port, CancellationToken cancellation)
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(_path), cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        }

        public Task<Stream> ConnectAgentAsync(int port, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<bool> IsOpenAsync(int port, CancellationToken cancellation) => Task.FromResult(false);

        public bool? IsOpen(int port) => false;

        public async Task AllAreAnnouncedAsync(int count)
        {
            var announcement = new byte[PortMark.Size + PortMark.NonceSize];
            while (_ends.Count < count)
            {
                var end = await _listener.AcceptAsync();
                _ends.Add(end);
                for (var filled = 0; filled < announcement.Length;)
                {
                    filled += await end.ReceiveAsync(announcement.AsMemory(filled));
                }
            }
        }

        public void Dispose()
        {
            _ends.ForEach(end => end.Dispose());
            _listener.Dispose();
            File.Delete(_path);
        }
    }
}
