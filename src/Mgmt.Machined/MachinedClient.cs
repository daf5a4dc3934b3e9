using System.Collections.Immutable;
using System.Net;
using Mgmt.Core;
using Mgmt.Machined.Bus;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Machined;

/// <summary>
/// Every method and property of systemd-machined's manager and machines, typed; its images are <see cref="MachinedImages"/>, its signals <see cref="MachineWatch"/>. Each call has
/// a deadline and each answer a bound. ERRORS: as IHostMachines. SOURCE: org.freedesktop.machine1(5).
/// </summary>
internal sealed class MachinedClient(MachinedOptions options, Questions questions, Action start, RegistryHealth health)
{
    public Task<ImmutableArray<ListedMachine>> ListAsync(CancellationToken cancellation) => AskAsync(MachineCalls.ListMachines, MachineAnswers.List, "", cancellation);

    /// <summary>The path of a machine's object.</summary>
    public Task<string> GetMachineAsync(string name, CancellationToken cancellation) => AskAsync(ManagerMethods.GetMachine(name), Path, name, cancellation);

    public Task<string> GetMachineByPidAsync(uint pid, CancellationToken cancellation) => AskAsync(ManagerMethods.GetMachineByPid(pid), Path, $"of process {pid}", cancellation);

    public Task<MachineProperties> PropertiesAsync(string path, CancellationToken cancellation) => AskAsync(MachineMethods.Properties(path), MachineAnswers.Properties, path, cancellation);

    public Task<string> CreateAsync(MachineRegistration machine, CancellationToken cancellation) => AskAsync(ManagerMethods.Create(machine), Path, machine.Name, cancellation);

    /// <summary>Registers the unit that the leader is in. Never for a process of ours: the unit may be the daemon's own, which Terminate would then end.</summary>
    public Task<string> RegisterAsync(MachineRegistration machine, CancellationToken cancellation) => AskAsync(ManagerMethods.Register(machine), Path, machine.Name, cancellation);

    public Task UnregisterAsync(string name, CancellationToken cancellation) => AskAsync(ManagerMethods.Unregister(name), Nothing, name, cancellation);

    public Task TerminateAsync(MachineTarget machine, CancellationToken cancellation) => AskAsync(MachineMethods.Terminate(machine), Nothing, machine, cancellation);

    /// <summary>Sends a signal to the leader, or to all processes.</summary>
    public Task KillAsync(MachineTarget machine, bool all, int signal, CancellationToken cancellation) =>
        AskAsync(MachineMethods.Kill(machine, all ? "all" : "leader", signal), Nothing, machine, cancellation);

    public Task<ImmutableArray<IPAddress>> AddressesAsync(MachineTarget machine, CancellationToken cancellation) =>
        AskAsync(MachineMethods.GetAddresses(machine), MachineAnswers.Addresses, machine, cancellation);

    public Task<ImmutableSortedDictionary<string, string>> OSReleaseAsync(MachineTarget machine, CancellationToken cancellation) =>
        AskAsync(MachineMethods.GetOSRelease(machine), MachineAnswers.Fields, machine, cancellation);

    public Task<uint> UidShiftAsync(MachineTarget machine, CancellationToken cancellation) => AskAsync(MachineMethods.GetUidShift(machine), Number, machine, cancellation);

    public Task<OpenTerminal> OpenPtyAsync(MachineTarget machine, CancellationToken cancellation) => AskAsync(MachineMethods.OpenPty(machine), MachineAnswers.Terminal, machine, cancellation);

    public Task<OpenTerminal> OpenLoginAsync(MachineTarget machine, CancellationToken cancellation) => AskAsync(MachineMethods.OpenLogin(machine), MachineAnswers.Terminal, machine, cancellation);

    public Task<OpenTerminal> OpenShellAsync(MachineTarget machine, MachineProgram program, CancellationToken cancellation) =>
        AskAsync(MachineMethods.OpenShell(machine, program.User, program.Path, program.Arguments, program.Environment), MachineAnswers.Terminal, machine, cancellation);

    public Task BindMountAsync(MachineTarget machine, string source, string destination, bool readOnly, bool makeDirectory, CancellationToken cancellation) =>
        AskAsync(MachineMethods.BindMount(machine, source, destination, readOnly, makeDirectory), Nothing, machine, cancellation);

    public Task CopyFromAsync(MachineTarget machine, string source, string destination, CancellationToken cancellation) =>
        AskAsync(MachineMethods.CopyFrom(machine, source, destination), Nothing, $"{machine}:{source}", options.CopyDeadline, cancellation);

    public Task CopyToAsync(MachineTarget machine, string source, string destination, CancellationToken cancellation) =>
        AskAsync(MachineMethods.CopyTo(machine, source, destination), Nothing, $"{machine}:{destination}", options.CopyDeadline, cancellation);

    /// <summary>As CopyFrom, over what is there already.</summary>
    public Task CopyFromReplacingAsync(MachineTarget machine, string source, string destination, CancellationToken cancellation) =>
        AskAsync(MachineMethods.CopyFromReplacing(machine, source, destination), Nothing, $"{machine}:{source}", options.CopyDeadline, cancellation);

    /// <summary>As CopyTo, over what is there already.</summary>
    public Task CopyToReplacingAsync(MachineTarget machine, string source, string destination, CancellationToken cancellation) =>
        AskAsync(MachineMethods.CopyToReplacing(machine, source, destination), Nothing, $"{machine}:{destination}", options.CopyDeadline, cancellation);

    public Task<SafeFileHandle> OpenRootDirectoryAsync(MachineTarget machine, CancellationToken cancellation) =>
        AskAsync(MachineMethods.OpenRootDirectory(machine), MachineAnswers.File, machine, cancellation);

    /// <summary>A user or group of a machine as one of the host.</summary>
    public Task<uint> MapFromMachineAsync(string name, bool group, uint inner, CancellationToken cancellation) => AskAsync(ManagerMethods.MapFrom(name, group, inner), Number, name, cancellation);

    /// <summary>A user or group of the host as one of the machine that it belongs to.</summary>
    public Task<MappedId> MapToMachineAsync(bool group, uint outer, CancellationToken cancellation) => AskAsync(ManagerMethods.MapTo(group, outer), MachineAnswers.Mapped, $"of id {outer}", cancellation);

    public Task<string> ImageHostnameAsync(string image, CancellationToken cancellation) => AskAsync(ManagerMethods.GetImageHostname(image), reader => reader.String(), image, cancellation);

    public Task<Guid?> ImageMachineIdAsync(string image, CancellationToken cancellation) => AskAsync(ManagerMethods.GetImageMachineId(image), MachineAnswers.Id, image, cancellation);

    public Task<ImmutableSortedDictionary<string, string>> ImageMachineInfoAsync(string image, CancellationToken cancellation) =>
        AskAsync(ManagerMethods.GetImageMachineInfo(image), MachineAnswers.Fields, image, cancellation);

    public Task<ImmutableSortedDictionary<string, string>> ImageOSReleaseAsync(string image, CancellationToken cancellation) =>
        AskAsync(ManagerMethods.GetImageOSRelease(image), MachineAnswers.Fields, image, cancellation);

    /// <summary>Removes hidden images, or all of them: what was removed.</summary>
    public Task<ImmutableArray<(string Image, ulong Bytes)>> CleanPoolAsync(bool all, CancellationToken cancellation) =>
        AskAsync(ManagerMethods.CleanPool(all ? "all" : "hidden"), MachineAnswers.Cleaned, "", options.ImageCopyDeadline, cancellation);

    /// <summary>Any call, under the deadline of questions about machines. <paramref name="what"/> names its subject in errors.</summary>
    internal Task<T> AskAsync<T>(BusCall call, Func<BusReader, T> read, string what, CancellationToken cancellation) => AskAsync(call, read, what, options.MachineDeadline, cancellation);

    internal async Task<T> AskAsync<T>(BusCall call, Func<BusReader, T> read, string what, TimeSpan within, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        if (!options.Enabled)
        {
            throw new MgmtException(ErrorCode.MgmtUnavailableError, "systemd-machined is switched off in the configuration");
        }
        start();
        var reply = await questions.AskAsync(call with { AnswerWithin = within }, read, within, cancellation);
        if (reply.Failure is not { } failure)
        {
            return reply.Value!;
        }
        // Work in a container takes its time, and what systemd says is no word of machined's.
        if (failure.Kind != BusFailureKind.Unanswered && call.Destination == MachineCalls.Machined)
        {
            health.Note(failure);
        }
        throw MachineFailures.Translate(failure, call, what);
    }

    private Task<T> AskAsync<T>(BusCall call, Func<BusReader, T> read, MachineTarget machine, CancellationToken cancellation) => AskAsync(call, read, machine.ToString(), cancellation);

    private static string Path(BusReader reader) => reader.ObjectPath();

    private static uint Number(BusReader reader) => reader.UInt32();

    private static bool Nothing(BusReader reader) => true;
}
