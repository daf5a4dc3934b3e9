using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Mgmt.State;

namespace Mgmt.Api;

/// <summary>What callers do with machines of the host that are no VMs. SOURCE: docs/machines.md.</summary>
public sealed class MachineOperations(StateStore store, IHostMachines machines, MachineOwners owners, VmGates gates)
{
    private const int MaxTerminals = 32;
    private int _terminals;

    /// <summary>SHAPE: <c>NAME class=CLASS service=SERVICE\n</c>.</summary>
    public async Task<string> ListAsync(string argument, CancellationToken cancellation)
    {
        if (argument.Length > 0)
        {
            return Line((await owners.GetOtherAsync(HostMachineName.Parse(argument), cancellation)).Machine);
        }
        return string.Concat((await owners.ListOthersAsync(cancellation)).Select(Line));
    }

    /// <summary>SHAPE: <c>KEY=VALUE\n</c>; what a container does not tell is <c>KEY_missing=WHY</c>.</summary>
    public async Task<string> InfoAsync(HostMachineName name, CancellationToken cancellation)
    {
        var facts = await owners.GetOtherAsync(name, cancellation);
        var inside = await machines.LookInsideAsync(name, cancellation);
        var text = new StringBuilder();
        Add(text, "name", name.Value);
        Add(text, "class", facts.Machine.Class);
        Add(text, "service", facts.Machine.Service);
        Add(text, "unit", facts.Unit);
        Add(text, "leader", facts.LeaderPid.ToString(CultureInfo.InvariantCulture));
        Add(text, "root", facts.RootDirectory);
        Add(text, "since", facts.Since.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture));
        Add(text, "state", facts.State);
        Add(text, "uuid", facts.Uuid?.ToString("D") ?? "");
        Add(text, "interfaces", string.Join(' ', facts.NetworkInterfaces));
        Add(text, inside.AddressesMissing is null ? "addresses" : "addresses_missing", inside.AddressesMissing ?? string.Join(' ', inside.Addresses!.Value.Select(Plain)));
        if (inside.OsReleaseMissing is { } why)
        {
            Add(text, "os_missing", why);
        }
        foreach (var (key, value) in inside.OsRelease ?? ImmutableSortedDictionary<string, string>.Empty)
        {
            Add(text, "os." + key, value);
        }
        return text.ToString();
    }

    /// <summary>Starts the container of an image. ERRORS: QubesException when the image is a VM's disk, or the name a VM's machine's.</summary>
    public Task StartAsync(HostMachineName image, CancellationToken cancellation)
    {
        var state = store.Current;
        if (MachineOwners.Named(state, image) is { } named)
        {
            throw MachineOwners.IsVm(image, named);
        }
        var pools = state.Pools.Values.Where(pool => pool.Driver == "machined").Select(pool => pool.Name).ToHashSet();
        if (state.Vms.Values.FirstOrDefault(vm => vm.Volumes.Values.Any(volume => pools.Contains(volume.Pool) && volume.Vid?.Value == image.Value)) is { } user)
        {
            throw new MgmtException(ErrorCode.QubesVMInUseError, "Image %s is a disk of the VM %s", image.Value, user.Name.Value);
        }
        return machines.StartAsync(image, cancellation);
    }

    /// <summary>Asks a container to power off; does not wait for it.</summary>
    public async Task ShutdownAsync(HostMachineName name, CancellationToken cancellation)
    {
        var facts = await owners.GetOtherAsync(name, cancellation);
        if (facts.Machine.Class != "container")
        {
            // The signal is one for an init, and anybody else's end.
            throw new MgmtException(ErrorCode.MgmtUnsupportedError, "Machine %s is no container: only Kill ends it", name.Value);
        }
        await machines.AskToPowerOffAsync(name, cancellation);
    }

    /// <summary>Ends a machine by force, also one that is left of a VM that has no process any more; that VM does not start meanwhile.</summary>
    public async Task KillAsync(HostMachineName name, CancellationToken cancellation)
    {
        if (MachineOwners.VmOf(store.Current, (await machines.GetAsync(name, cancellation)).Uuid) is not { } vm)
        {
            await machines.TerminateAsync(name, cancellation);
            return;
        }
        using var gate = gates.TryEnter(vm.Name);
        if (gate is null || store.Current.Find(vm.Uuid) is { Status: not { Run: null, State: VmState.Halted or VmState.Crashed } })
        {
            throw MachineOwners.IsVm(name, vm);
        }
        await machines.TerminateAsync(name, cancellation);
    }

    /// <summary>A terminal of a container, served until it ends or the caller goes away.</summary>
    public Task ConsoleAsync(HostMachineName name, TerminalWish wish, CallContext call, CancellationToken cancellation) =>
        ServeAsync(name, wish, null, call, () => machines.OpenConsoleAsync(name, wish.Login, cancellation), cancellation);

    /// <summary>A program in a container, on a terminal, served likewise. Its exit status is told where the wish says so.</summary>
    public Task RunAsync(HostMachineName name, TerminalWish wish, CallContext call, CancellationToken cancellation)
    {
        var status = wish is { Status: true, Arguments.IsEmpty: false } ? new ExitStatusScanner(wish.Plain) : null;
        var program = status is null
            ? new MachineProgram(wish.User, wish.Arguments.FirstOrDefault() ?? "", wish.Arguments, wish.Environment)
            : new MachineProgram(wish.User, "/bin/sh", status.Wrap(wish.Arguments), wish.Environment);
        return ServeAsync(name, wish, status, call, () => machines.OpenShellAsync(name, program, cancellation), cancellation);
    }

    private async Task ServeAsync(HostMachineName name, TerminalWish wish, ExitStatusScanner? status, CallContext call, Func<Task<IMachineTerminal>> open, CancellationToken cancellation)
    {
        if (Interlocked.Increment(ref _terminals) > MaxTerminals)
        {
            Interlocked.Decrement(ref _terminals);
            throw new MgmtException(ErrorCode.MgmtBusyError, "%s terminals are open; that is all there can be", $"{MaxTerminals}");
        }
        try
        {
            await owners.GetOtherAsync(name, cancellation);
            await using var terminal = await open();
            if (wish.Size is { } size)
            {
                terminal.Resize(size.Rows, size.Columns);
            }
            await new TerminalSession(terminal, status, call.PayloadStream!, call.Output!).RunAsync(cancellation);
        }
        finally
        {
            Interlocked.Decrement(ref _terminals);
        }
    }

    private static string Line(HostMachine machine) => $"{machine.Name} class={Word(machine.Class)} service={Word(machine.Service)}\n";

    private static void Add(StringBuilder text, string key, string value) => text.Append(Word(key)).Append('=').Append(Printable(value)).Append('\n');

    /// <summary>Without the number of the host's interface that a link-local address may carry: it means nothing elsewhere.</summary>
    private static string Plain(System.Net.IPAddress address) => address.ToString().Split('%')[0];

    // A registrar's or a container's words may hold anything.
    private static string Word(string text) => string.Concat(text.Select(c => c is > ' ' and <= '~' and not '=' ? c : '_'));

    private static string Printable(string text) => string.Concat(text.Select(c => char.IsControl(c) ? '_' : c));
}
