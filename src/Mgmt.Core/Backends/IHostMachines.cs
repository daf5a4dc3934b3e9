using System.Collections.Immutable;
using System.Net;

namespace Mgmt.Core;

/// <summary>
/// The machines of the host's registry (systemd-machined), whoever started them. Every call has a deadline. ERRORS of all: MgmtUnavailableError (no registry),
/// MgmtTimeoutError (no answer in time; what became of a change is unknown until looked at again), QubesException (no such machine, or any other refusal, with the
/// registry's words), MgmtUnsupportedError (not for this kind of machine).
/// </summary>
public interface IHostMachines
{
    /// <summary>All machines but the host itself, sorted. Those whose names are no host names cannot be named here and are left out.</summary>
    Task<ImmutableArray<HostMachine>> ListAsync(CancellationToken cancellation);

    /// <summary>What the registry knows of a machine.</summary>
    Task<HostMachineFacts> GetAsync(HostMachineName name, CancellationToken cancellation);

    /// <summary>What a container says of itself, asked anew; what it does not say is null, with the reason.</summary>
    Task<HostMachineInside> LookInsideAsync(HostMachineName name, CancellationToken cancellation);

    /// <summary>Starts the container of an image (<c>systemd-nspawn@NAME.service</c>); replies when it runs. ERRORS: QubesVolumeNotFoundError (no such image).</summary>
    Task StartAsync(HostMachineName image, CancellationToken cancellation);

    /// <summary>Asks the first process of a container to power off (SIGRTMIN+4). SOURCE: systemd(1), "Signals".</summary>
    Task AskToPowerOffAsync(HostMachineName name, CancellationToken cancellation);

    /// <summary>Ends a machine by force.</summary>
    Task TerminateAsync(HostMachineName name, CancellationToken cancellation);

    /// <summary>A terminal of a container: with a login prompt at its other end, or with nothing yet.</summary>
    Task<IMachineTerminal> OpenConsoleAsync(HostMachineName name, bool login, CancellationToken cancellation);

    /// <summary>Runs a program in a container, on a terminal.</summary>
    Task<IMachineTerminal> OpenShellAsync(HostMachineName name, MachineProgram program, CancellationToken cancellation);

    /// <summary>Copies a file or directory of a container to a path of the host that does not exist yet. Once begun nothing stops it: the task ends when the registry says that it is over.</summary>
    Task CopyFromAsync(HostMachineName name, string pathInside, string hostPath, CancellationToken cancellation);

    /// <summary>Copies a file or directory of the host into a container. As CopyFromAsync nothing stops it.</summary>
    Task CopyToAsync(HostMachineName name, string hostPath, string pathInside, CancellationToken cancellation);
}

/// <summary>A machine of a list. Class is <c>container</c> or <c>vm</c>; Service says who registered it.</summary>
public sealed record HostMachine(HostMachineName Name, string Class, string Service);

/// <summary>What the registry knows of a machine. Unit, RootDirectory: "" when there is none; Uuid: null when it has none.</summary>
public sealed record HostMachineFacts(HostMachine Machine, Guid? Uuid, string Unit, int LeaderPid, string RootDirectory, DateTimeOffset Since, string State)
{
    /// <summary>Indices of the host's network interfaces that lead to it.</summary>
    public ImmutableArray<int> NetworkInterfaces { get; init; } = [];
}

/// <summary>What a container says of itself: addresses and the fields of its os-release. Null: not told, and Missing says why.</summary>
public sealed record HostMachineInside(
    ImmutableArray<IPAddress>? Addresses, string? AddressesMissing, ImmutableSortedDictionary<string, string>? OsRelease, string? OsReleaseMissing);

/// <summary>A program to run: the user inside, the path, all its arguments from argv[0] on, and <c>NAME=VALUE</c> of its environment. An empty path: the user's shell.</summary>
public sealed record MachineProgram(string User, string Path, ImmutableArray<string> Arguments, ImmutableArray<string> Environment);
