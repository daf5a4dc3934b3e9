using System.Collections.Concurrent;
using System.Collections.Immutable;
using Mgmt.Core;

namespace Mgmt.Machined;

/// <summary>The machines of the host as the API asks for them.</summary>
internal sealed class HostMachines(MachinedClient client, ContainerUnits units, MachinedOptions options, TimeProvider time) : IHostMachines
{
    // SIGRTMIN+4 as the C library counts: the kernel's first real-time signal is 32, and the library keeps two.
    private const int PowerOff = 34 + 4;

    // A login prompt whose terminal is gone is started once more by the container's systemd, and sits down on whatever terminal has got that number meanwhile.
    private static readonly TimeSpan s_settle = TimeSpan.FromSeconds(1);
    private readonly ConcurrentDictionary<HostMachineName, long> _loginsClosed = new();

    public async Task<ImmutableArray<HostMachine>> ListAsync(CancellationToken cancellation) =>
        [.. (await client.ListAsync(cancellation)).SelectMany(Named).DistinctBy(machine => machine.Name).OrderBy(machine => machine.Name)];

    public async Task<HostMachineFacts> GetAsync(HostMachineName name, CancellationToken cancellation)
    {
        var path = await client.GetMachineAsync(name.Value, cancellation);
        var read = await client.PropertiesAsync(path, cancellation);
        if (read.Name != name.Value)
        {
            throw new MgmtException(ErrorCode.MgmtUnavailableError, "systemd-machined tells of another machine when asked for %s", name.Value);
        }
        // A number of microseconds that is no time of ours is a peer's fault, and no machine's age.
        var since = read.Timestamp <= (ulong)DateTimeOffset.MaxValue.ToUnixTimeMilliseconds() * 1000 ? DateTimeOffset.UnixEpoch.AddMicroseconds(read.Timestamp) : DateTimeOffset.UnixEpoch;
        return new HostMachineFacts(new HostMachine(name, read.Class, read.Service), read.Id, read.Unit, (int)Math.Min(read.Leader, int.MaxValue), read.RootDirectory, since, read.State)
        {
            NetworkInterfaces = read.NetworkInterfaces,
        };
    }

    public async Task<HostMachineInside> LookInsideAsync(HostMachineName name, CancellationToken cancellation)
    {
        var machine = MachineTarget.Named(name.Value);
        var (addresses, noAddresses) = await OrWhyAsync(async () => (ImmutableArray<System.Net.IPAddress>?)await client.AddressesAsync(machine, cancellation));
        var (release, noRelease) = await OrWhyAsync(async () => await client.OSReleaseAsync(machine, cancellation));
        return new HostMachineInside(addresses, noAddresses, release, noRelease);
    }

    public Task StartAsync(HostMachineName image, CancellationToken cancellation) => units.StartAsync(image, cancellation);

    public Task AskToPowerOffAsync(HostMachineName name, CancellationToken cancellation) => client.KillAsync(MachineTarget.Named(name.Value), all: false, PowerOff, cancellation);

    public Task TerminateAsync(HostMachineName name, CancellationToken cancellation) => client.TerminateAsync(MachineTarget.Named(name.Value), cancellation);

    public async Task<IMachineTerminal> OpenConsoleAsync(HostMachineName name, bool login, CancellationToken cancellation)
    {
        await SettleAsync(name, cancellation);
        var machine = MachineTarget.Named(name.Value);
        return login
            ? new PtyTerminal(await client.OpenLoginAsync(machine, cancellation), options.HangupGrace, options.HangupGrace, time) { Closed = () => _loginsClosed[name] = time.GetTimestamp() }
            : new PtyTerminal(await client.OpenPtyAsync(machine, cancellation), options.HangupGrace, options.HangupGrace, time);
    }

    public async Task<IMachineTerminal> OpenShellAsync(HostMachineName name, MachineProgram program, CancellationToken cancellation)
    {
        await SettleAsync(name, cancellation);
        return new PtyTerminal(await client.OpenShellAsync(MachineTarget.Named(name.Value), program, cancellation), TimeSpan.Zero, options.HangupGrace, time);
    }

    public Task CopyFromAsync(HostMachineName name, string pathInside, string hostPath, CancellationToken cancellation) =>
        client.CopyFromAsync(MachineTarget.Named(name.Value), pathInside, hostPath, cancellation);

    public Task CopyToAsync(HostMachineName name, string hostPath, string pathInside, CancellationToken cancellation) =>
        client.CopyToAsync(MachineTarget.Named(name.Value), hostPath, pathInside, cancellation);

    private async Task SettleAsync(HostMachineName name, CancellationToken cancellation)
    {
        if (_loginsClosed.TryGetValue(name, out var closed))
        {
            if (s_settle - time.GetElapsedTime(closed) is { Ticks: > 0 } left)
            {
                await Task.Delay(left, time, cancellation);
            }
            _loginsClosed.TryRemove(new(name, closed));
        }
    }

    private static IEnumerable<HostMachine> Named(ListedMachine machine) =>
        HostMachineName.TryParse(machine.Name) is { } name ? [new HostMachine(name, machine.Class, machine.Service)] : [];

    /// <summary>A value, or the reason why the machine does not tell it. A registry that is not there is an error all the same.</summary>
    private static async Task<(T? Value, string? Missing)> OrWhyAsync<T>(Func<Task<T>> ask)
    {
        try
        {
            return (await ask(), null);
        }
        catch (MgmtException refusal) when (refusal.Code is ErrorCode.QubesException or ErrorCode.MgmtUnsupportedError or ErrorCode.MgmtTimeoutError)
        {
            return (default, refusal.Message);
        }
    }
}
