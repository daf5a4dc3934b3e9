namespace Mgmt.Machined;

/// <summary>How the registry of machines is reached.</summary>
public sealed record MachinedOptions
{
    private const string SystemBus = "unix:path=/run/dbus/system_bus_socket";

    /// <summary>The bus, as a D-Bus address. Null: DBUS_SYSTEM_BUS_ADDRESS of the environment, else the system bus's usual socket.</summary>
    public string? BusAddress { get; init; }

    /// <summary>How long placing a process, or a question about a machine, may take in all.</summary>
    public TimeSpan PlaceDeadline { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How long a question about images, or a change that moves no data, may take in all.</summary>
    public TimeSpan ImageDeadline { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long cloning or removing an image may take.</summary>
    public TimeSpan ImageCopyDeadline { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>How long a question about a machine, or a change of one, may take.</summary>
    public TimeSpan MachineDeadline { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a container may take to say that it runs.</summary>
    public TimeSpan ContainerStartDeadline { get; init; } = TimeSpan.FromSeconds(90);

    /// <summary>How long a copy from or to a container is waited for: nothing ends one that takes longer.</summary>
    public TimeSpan CopyDeadline { get; init; } = TimeSpan.FromHours(1);

    /// <summary>How long a terminal that nobody has open in the container is kept for one who opens it (a login prompt after a log-out, say).</summary>
    public TimeSpan HangupGrace { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>False: no bus is opened, nothing is placed, the state is <c>off</c>.</summary>
    public bool Enabled { get; init; } = true;

    // libc's environment is a copy that .NET does not write to, so sd-bus is always told the address.
    internal string Address => BusAddress
        ?? Environment.GetEnvironmentVariable("DBUS_SYSTEM_BUS_ADDRESS")
        ?? SystemBus;
}
