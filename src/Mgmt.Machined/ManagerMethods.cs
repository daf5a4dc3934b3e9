using Mgmt.Machined.Bus;

namespace Mgmt.Machined;

/// <summary>
/// The methods of the manager that are not those of a machine (<see cref="MachineMethods"/>) or an image (<see cref="ImageCalls"/>). SOURCE: org.freedesktop.machine1(5),
/// "The Manager Object".
/// </summary>
internal static class ManagerMethods
{
    // GetMachine(s name) -> o
    public static BusCall GetMachine(string name) => Manager("GetMachine", writer => writer.String(name));

    // GetMachineByPID(u pid) -> o
    public static BusCall GetMachineByPid(uint pid) => Manager("GetMachineByPID", writer => writer.UInt32(pid));

    // CreateMachineWithNetwork(s name, ay id, s service, s class, u leader, s root_directory, ai ifindices, a(sv) scope_properties) -> o
    public static BusCall Create(MachineRegistration machine) => Manager("CreateMachineWithNetwork", writer =>
    {
        Registration(writer, machine);
        writer.EmptyArray("(sv)");
    });

    // RegisterMachineWithNetwork(s name, ay id, s service, s class, u leader, s root_directory, ai ifindices) -> o
    public static BusCall Register(MachineRegistration machine) => Manager("RegisterMachineWithNetwork", writer => Registration(writer, machine));

    // UnregisterMachine(s name)
    public static BusCall Unregister(string name) => Manager("UnregisterMachine", writer => writer.String(name));

    // GetImageHostname(s name) -> s
    public static BusCall GetImageHostname(string name) => Manager("GetImageHostname", writer => writer.String(name));

    // GetImageMachineID(s name) -> ay
    public static BusCall GetImageMachineId(string name) => Manager("GetImageMachineID", writer => writer.String(name));

    // GetImageMachineInfo(s name) -> a{ss}
    public static BusCall GetImageMachineInfo(string name) => Manager("GetImageMachineInfo", writer => writer.String(name));

    // GetImageOSRelease(s name) -> a{ss}
    public static BusCall GetImageOSRelease(string name) => Manager("GetImageOSRelease", writer => writer.String(name));

    // CleanPool(s mode) -> a(st), mode is hidden or all
    public static BusCall CleanPool(string mode) => Manager("CleanPool", writer => writer.String(mode));

    // MapFromMachineUser, MapFromMachineGroup(s name, u inner) -> u outer
    public static BusCall MapFrom(string name, bool group, uint inner) => Manager(group ? "MapFromMachineGroup" : "MapFromMachineUser", writer =>
    {
        writer.String(name);
        writer.UInt32(inner);
    });

    // MapToMachineUser, MapToMachineGroup(u outer) -> s name, o path, u inner
    public static BusCall MapTo(bool group, uint outer) => Manager(group ? "MapToMachineGroup" : "MapToMachineUser", writer => writer.UInt32(outer));

    private static void Registration(BusWriter writer, MachineRegistration machine)
    {
        writer.String(machine.Name);
        writer.Bytes(machine.Uuid?.ToByteArray(bigEndian: true) ?? []);
        writer.String(machine.Service);
        writer.String(machine.Class);
        writer.UInt32(machine.LeaderPid);
        writer.String(machine.RootDirectory);
        writer.OpenArray("i");
        foreach (var index in machine.NetworkInterfaces)
        {
            writer.Int32(index);
        }
        writer.Close();
    }

    private static BusCall Manager(string member, Action<BusWriter>? arguments = null) =>
        new(MachineCalls.Machined, MachineCalls.MachinedPath, MachineCalls.MachinedManager, member, arguments);
}

/// <summary>A machine to register. Without a UUID, root directory or interfaces: null, "", none.</summary>
internal sealed record MachineRegistration(string Name, Guid? Uuid, string Service, string Class, uint LeaderPid, string RootDirectory, IReadOnlyList<int> NetworkInterfaces);
