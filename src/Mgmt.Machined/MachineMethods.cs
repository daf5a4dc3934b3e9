using Mgmt.Machined.Bus;

namespace Mgmt.Machined;

/// <summary>Every method of a machine. SOURCE: org.freedesktop.machine1(5), "Machine Objects".</summary>
internal static class MachineMethods
{
    // MACHINE_COPY_REPLACE: what is there already is written over.
    private const ulong Replace = 1;

    // Terminate()
    public static BusCall Terminate(MachineTarget machine) => machine.Call("Terminate", "TerminateMachine");

    // Kill(s who, i signal), who is leader or all
    public static BusCall Kill(MachineTarget machine, string who, int signal) => machine.Call("Kill", "KillMachine", writer =>
    {
        writer.String(who);
        writer.Int32(signal);
    });

    // GetAddresses() -> a(iay)
    public static BusCall GetAddresses(MachineTarget machine) => machine.Call("GetAddresses", "GetMachineAddresses");

    // GetOSRelease() -> a{ss}
    public static BusCall GetOSRelease(MachineTarget machine) => machine.Call("GetOSRelease", "GetMachineOSRelease");

    // GetUIDShift() -> u
    public static BusCall GetUidShift(MachineTarget machine) => machine.Call("GetUIDShift", "GetMachineUIDShift");

    // OpenPTY() -> h pty, s pty_path
    public static BusCall OpenPty(MachineTarget machine) => machine.Call("OpenPTY", "OpenMachinePTY");

    // OpenLogin() -> h pty, s pty_path
    public static BusCall OpenLogin(MachineTarget machine) => machine.Call("OpenLogin", "OpenMachineLogin");

    // OpenShell(s user, s path, as args, as environment) -> h pty, s pty_path
    public static BusCall OpenShell(MachineTarget machine, string user, string path, IEnumerable<string> arguments, IEnumerable<string> environment) =>
        machine.Call("OpenShell", "OpenMachineShell", writer =>
        {
            writer.String(user);
            writer.String(path);
            writer.Strings(arguments);
            writer.Strings(environment);
        });

    // BindMount(s source, s destination, b read_only, b mkdir)
    public static BusCall BindMount(MachineTarget machine, string source, string destination, bool readOnly, bool makeDirectory) =>
        machine.Call("BindMount", "BindMountMachine", writer =>
        {
            writer.String(source);
            writer.String(destination);
            writer.Boolean(readOnly);
            writer.Boolean(makeDirectory);
        });

    // CopyFrom(s source, s destination), source in the machine, destination on the host
    public static BusCall CopyFrom(MachineTarget machine, string source, string destination) => machine.Call("CopyFrom", "CopyFromMachine", writer => Paths(writer, source, destination));

    // CopyTo(s source, s destination), source on the host, destination in the machine
    public static BusCall CopyTo(MachineTarget machine, string source, string destination) => machine.Call("CopyTo", "CopyToMachine", writer => Paths(writer, source, destination));

    // CopyFromWithFlags(s source, s destination, t flags), as CopyFrom
    public static BusCall CopyFromReplacing(MachineTarget machine, string source, string destination) =>
        machine.Call("CopyFromWithFlags", "CopyFromMachineWithFlags", writer => Paths(writer, source, destination, Replace));

    // CopyToWithFlags(s source, s destination, t flags), as CopyTo
    public static BusCall CopyToReplacing(MachineTarget machine, string source, string destination) =>
        machine.Call("CopyToWithFlags", "CopyToMachineWithFlags", writer => Paths(writer, source, destination, Replace));

    // OpenRootDirectory() -> h fd
    public static BusCall OpenRootDirectory(MachineTarget machine) => machine.Call("OpenRootDirectory", "OpenMachineRootDirectory");

    // Properties.GetAll(s interface) -> a{sv}
    public static BusCall Properties(string path) => new(MachineCalls.Machined, path, BusNames.Properties, "GetAll", writer => writer.String(MachineTarget.Interface));

    private static void Paths(BusWriter writer, string source, string destination, ulong? flags = null)
    {
        writer.String(source);
        writer.String(destination);
        if (flags is { } number)
        {
            writer.UInt64(number);
        }
    }
}
