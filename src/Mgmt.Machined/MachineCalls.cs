using Mgmt.Core;
using Mgmt.Machined.Bus;

namespace Mgmt.Machined;

/// <summary>
/// The calls made, and how their answers read. Never RegisterMachine: it registers the unit that the leader is in, which
/// may be the daemon's own. SOURCE: org.freedesktop.machine1(5), org.freedesktop.systemd1(5).
/// </summary>
internal static class MachineCalls
{
    public const string Machined = "org.freedesktop.machine1";
    public const string MachinedPath = "/org/freedesktop/machine1";
    public const string MachinedManager = "org.freedesktop.machine1.Manager";
    public const string MachineExists = "org.freedesktop.machine1.MachineExists";
    public const string LeaderTaken = "System.Error.EEXIST";
    public const string NoSuchMachine = "org.freedesktop.machine1.NoSuchMachine";
    public const string Systemd = "org.freedesktop.systemd1";
    public const string SystemdPath = "/org/freedesktop/systemd1";
    public const string SystemdManager = "org.freedesktop.systemd1.Manager";
    public const string UnitExists = "org.freedesktop.systemd1.UnitExists";

    private const string Machine = "org.freedesktop.machine1.Machine";
    private const int MostMachines = 4096;
    private const int MostNames = 4096;
    private const int UuidBytes = 16;

    public static BusCall ListMachines { get; } = new(Machined, MachinedPath, MachinedManager, "ListMachines");

    public static BusCall ListActivatableNames { get; } = new(BusNames.Bus, BusNames.BusPath, BusNames.Bus, "ListActivatableNames");

    // CreateMachine(s name, ay id, s service, s class, u leader, s root_directory, a(sv) scope_properties) -> o
    public static BusCall Create(string name, MachineRequest request) => new(Machined, MachinedPath, MachinedManager, "CreateMachine", writer =>
    {
        writer.String(name);
        writer.Bytes(request.Uuid.ToByteArray(bigEndian: true));
        writer.String("mgmtd");
        writer.String("vm");
        writer.UInt32((uint)request.LeaderPid);
        writer.String("");
        writer.OpenArray("(sv)");
        writer.Property("Description", Description(request));
        writer.Close();
    });

    // StartTransientUnit(s name, s mode, a(sv) properties, a(sa(sv)) aux) -> o job
    public static BusCall StartUnit(string unit, MachineRequest request) => new(Systemd, SystemdPath, SystemdManager, "StartTransientUnit", writer =>
    {
        writer.String(unit);
        writer.String("fail");
        writer.OpenArray("(sv)");
        writer.Property("Description", Description(request));
        writer.Property("Slice", "machine.slice");
        writer.Property("CollectMode", "inactive-or-failed");
        writer.OpenProperty("PIDs", "au");
        writer.OpenArray("u");
        writer.UInt32((uint)request.LeaderPid);
        writer.Close();
        writer.CloseProperty();
        writer.Close();
        writer.EmptyArray("(sa(sv))");
    });

    // GetMachine(s name) -> o
    public static BusCall Get(string name) => new(Machined, MachinedPath, MachinedManager, "GetMachine", writer => writer.String(name));

    // Properties.Get(s interface, s property) -> v
    public static BusCall GetProperty(string path, string property) => new(Machined, path, BusNames.Properties, "Get", writer =>
    {
        writer.String(Machine);
        writer.String(property);
    });

    /// <summary>Whether a call to machined failed because there is none, none could be started, or none is for us.</summary>
    public static bool IsAbsent(BusFailure failure) =>
        failure.Name is BusNames.ServiceUnknown or BusNames.NameHasNoOwner or BusNames.TimedOut or BusNames.AccessDenied
        || failure.Name.StartsWith(BusNames.SpawnPrefix, StringComparison.Ordinal)
        || failure.Name.StartsWith(Systemd + ".", StringComparison.Ordinal);

    /// <summary>The UUID of a machine, null when it has none.</summary>
    public static Guid? ReadId(BusReader reader)
    {
        reader.EnterVariant("ay");
        var bytes = reader.Bytes(UuidBytes);
        return bytes.Length == UuidBytes ? new Guid(bytes, bigEndian: true) : null;
    }

    public static uint ReadLeader(BusReader reader)
    {
        reader.EnterVariant("u");
        return reader.UInt32();
    }

    /// <summary>The names of <c>a(ssso)</c>: name, class, service, path.</summary>
    public static HashSet<string> ReadMachines(BusReader reader)
    {
        var names = new HashSet<string>();
        reader.EnterArray("(ssso)");
        while (reader.TryEnterStruct("ssso"))
        {
            names.Add(reader.String());
            reader.String();
            reader.String();
            reader.ObjectPath();
            reader.Exit();
            if (names.Count > MostMachines)
            {
                throw new BusFormatException("too many machines");
            }
        }
        return names;
    }

    /// <summary>Whether an <c>as</c> has the name of machined among its first few thousand.</summary>
    public static bool ReadHasMachined(BusReader reader)
    {
        reader.EnterArray("s");
        for (var n = 0; n < MostNames && reader.TryString(out var name); n++)
        {
            if (name == Machined)
            {
                return true;
            }
        }
        return false;
    }

    private static string Description(MachineRequest request) => $"Mgmt VM {request.Name}";
}
