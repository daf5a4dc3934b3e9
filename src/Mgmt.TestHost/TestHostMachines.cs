using System.Collections.Immutable;
using Mgmt.Core;

namespace Mgmt.TestHost;

/// <summary>A test host has no machines but its VMs.</summary>
public sealed class TestHostMachines : IHostMachines
{
    /// <inheritdoc/>
    public Task<ImmutableArray<HostMachine>> ListAsync(CancellationToken cancellation) => Task.FromResult(ImmutableArray<HostMachine>.Empty);

    /// <inheritdoc/>
    public Task<HostMachineFacts> GetAsync(HostMachineName name, CancellationToken cancellation) => None<HostMachineFacts>(name);

    /// <inheritdoc/>
    public Task<HostMachineInside> LookInsideAsync(HostMachineName name, CancellationToken cancellation) => None<HostMachineInside>(name);

    /// <inheritdoc/>
    public Task StartAsync(HostMachineName image, CancellationToken cancellation) =>
        Task.FromException(new MgmtException(ErrorCode.QubesVolumeNotFoundError, "No such image: '%s'", image.Value));

    /// <inheritdoc/>
    public Task AskToPowerOffAsync(HostMachineName name, CancellationToken cancellation) => None<bool>(name);

    /// <inheritdoc/>
    public Task TerminateAsync(HostMachineName name, CancellationToken cancellation) => None<bool>(name);

    /// <inheritdoc/>
    public Task<IMachineTerminal> OpenConsoleAsync(HostMachineName name, bool login, CancellationToken cancellation) => None<IMachineTerminal>(name);

    /// <inheritdoc/>
    public Task<IMachineTerminal> OpenShellAsync(HostMachineName name, MachineProgram program, CancellationToken cancellation) => None<IMachineTerminal>(name);

    /// <inheritdoc/>
    public Task CopyFromAsync(HostMachineName name, string pathInside, string hostPath, CancellationToken cancellation) => None<bool>(name);

    /// <inheritdoc/>
    public Task CopyToAsync(HostMachineName name, string hostPath, string pathInside, CancellationToken cancellation) => None<bool>(name);

    private static Task<T> None<T>(HostMachineName name) => Task.FromException<T>(new MgmtException(ErrorCode.QubesException, "No such machine: '%s'", name.Value));
}
