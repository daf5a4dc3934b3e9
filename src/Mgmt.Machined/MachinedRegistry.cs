using System.Threading.Channels;
using Mgmt.Core;
using Mgmt.Machined.Bus;
using Microsoft.Extensions.Logging;

namespace Mgmt.Machined;

/// <summary>
/// systemd-machined, reached over D-Bus by sd-bus on a thread of its own. The bus is opened by <see cref="Start"/> or by the
/// first question; until then, and whenever it is lost, the state is <c>absent</c>. SOURCE: org.freedesktop.machine1(5).
/// </summary>
public sealed class MachinedRegistry : IMachineRegistry
{
    private readonly MachinedOptions _options;
    private readonly RegistryHealth _health;
    private readonly MachineWatch _machines = new();
    private readonly BusThread _bus;
    private readonly Questions _questions;
    private readonly Placement _placement;
    // A wish to list again; two wishes are one.
    private readonly Channel<bool> _relist = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private volatile bool _connected;
    private volatile bool _activatable;

    private readonly Lock _gate = new();
    private Task _watching = Task.CompletedTask; // under the gate
    private bool _started;                       // under the gate

    /// <summary>Prepares; opens nothing.</summary>
    public MachinedRegistry(MachinedOptions options, TimeProvider time, ILogger<MachinedRegistry> log)
    {
        var jobs = new JobWatch();
        _options = options;
        _health = new RegistryHealth(options.Enabled, time, log);
        _bus = new BusThread(options.Address, [OwnerMatch, .. _machines.Matches, jobs.Match], OnConnected, OnLost, log);
        _questions = new Questions(_bus, time);
        Images = new MachinedImages(options, _questions, Start, _health, time);
        Client = new MachinedClient(options, _questions, Start, _health);
        Machines = new HostMachines(Client, new ContainerUnits(options, Client, jobs, time), options, time);
        _placement = new Placement(_questions, jobs, _health, options.PlaceDeadline, time, log);
    }

    /// <summary>The registry's images, asked for over the same bus.</summary>
    public IMachineImages Images { get; }

    /// <summary>The registry's machines, ours and others, asked for over the same bus.</summary>
    public IHostMachines Machines { get; }

    /// <summary>Every method of the registry.</summary>
    internal MachinedClient Client { get; }

    /// <inheritdoc/>
    public MachineRegistryStatus Status => _health.Status;

    /// <inheritdoc/>
    /// <remarks>The machines of the first list are no changes; those found by listing again after a time without the bus are.</remarks>
    public ChannelReader<MachineChange> Changes => _machines.Changes;

    /// <inheritdoc/>
    public ChannelReader<MachineRegistryStatus> StatusChanges => _health.Changes;

    /// <summary>Begins to connect, once; waits for nothing. Does nothing when switched off.</summary>
    public void Start()
    {
        lock (_gate)
        {
            if (_started || !_options.Enabled)
            {
                return;
            }
            _started = true;
            _bus.Start();
            _watching = Task.Run(WatchAsync, CancellationToken.None);
        }
    }

    /// <inheritdoc/>
    /// <remarks>
    /// The machine's name is <see cref="MachineName.For"/>. After a registration without an answer the process may be moved into
    /// the machine's scope later: ask <see cref="OwnsAsync"/>. Cancelling leaves the same doubt.
    /// </remarks>
    public async Task<MachineScope> PlaceAsync(MachineRequest request, CancellationToken cancellation)
    {
        // To machined a leader of 0 is the caller, and 1 is the host.
        ArgumentOutOfRangeException.ThrowIfLessThan(request.LeaderPid, 2);
        cancellation.ThrowIfCancellationRequested();
        if (!_options.Enabled)
        {
            return new MachineScope(MachineScopeKind.None, "", "systemd-machined is switched off in the configuration");
        }
        Start();
        var scope = await _placement.PlaceAsync(request, cancellation);
        AskAgainUnlessOk();
        return scope;
    }

    /// <inheritdoc/>
    public async Task<bool?> OwnsAsync(string machine, Guid uuid, int leaderPid, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        if (!_options.Enabled)
        {
            return null;
        }
        Start();
        var reply = await _questions.OwnsAsync(machine, uuid, leaderPid, _options.PlaceDeadline, cancellation);
        if (reply.Failure is null)
        {
            _health.Ok("answers");
            return reply.Value;
        }
        _health.Note(reply.Failure);
        AskAgainUnlessOk();
        return null;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        Task watching;
        lock (_gate)
        {
            _started = true;
            watching = _watching;
        }
        _relist.Writer.TryComplete();
        await _bus.DisposeAsync(); // fails what is asked, so the watch ends
        await watching;
        _machines.Complete();
        _health.Complete();
    }

    private BusMatch OwnerMatch => new(
        $"type='signal',sender='{BusNames.Bus}',path='{BusNames.BusPath}',interface='{BusNames.Bus}',member='NameOwnerChanged',arg0='{MachineCalls.Machined}'",
        OnOwnerChanged);

    // NameOwnerChanged(s name, s old_owner, s new_owner)
    private void OnOwnerChanged(BusReader reader)
    {
        reader.String();
        reader.String();
        if (reader.String().Length > 0)
        {
            Relist();
        }
        else if (_activatable)
        {
            // machined ends by itself when it has no machines; the next call starts it.
            _health.Ok("not running, started when asked");
        }
        else
        {
            _health.Absent("systemd-machined left the bus");
        }
    }

    private void OnConnected()
    {
        _connected = true;
        Relist();
    }

    private void OnLost(string why)
    {
        _connected = false;
        _health.Absent(why);
    }

    // Its answer to the list, whenever it comes, is what makes the status right again.
    private void AskAgainUnlessOk()
    {
        if (_connected && Status.State != "ok")
        {
            Relist();
        }
    }

    private void Relist() => _relist.Writer.TryWrite(true);

    private async Task WatchAsync()
    {
        await foreach (var _ in _relist.Reader.ReadAllAsync(CancellationToken.None))
        {
            await ListAsync();
        }
    }

    /// <summary>
    /// Lists the machines and sets the status by it. A list that is late makes it slow and is waited for, up to the 30 s after
    /// which the bus gives up, so that machined is seen to answer again without being asked over and over.
    /// </summary>
    private async Task ListAsync()
    {
        var activatable = await _questions.AskAsync(MachineCalls.ListActivatableNames, MachineCalls.ReadHasMachined, _options.PlaceDeadline, CancellationToken.None);
        _activatable = activatable is { Failure: null, Value: true };
        var listing = _bus.Post(MachineCalls.ListMachines, _machines.Compare);
        var reply = await _questions.WithinAsync(listing, _options.PlaceDeadline, CancellationToken.None);
        if (reply.Failure is { Kind: BusFailureKind.Unanswered } late && _connected)
        {
            _health.Note(late);
            reply = await listing.Task;
            if (reply.Failure is { Kind: BusFailureKind.Unanswered } && _connected)
            {
                Relist();
                return;
            }
        }
        if (reply.Failure is { } failure)
        {
            _health.Note(failure);
        }
        else
        {
            _health.Ok("answers");
        }
    }
}
