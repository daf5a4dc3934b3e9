using Mgmt.Machined.Bus;

namespace Mgmt.Machined;

/// <summary>
/// A machine as its methods are called: by its name at the manager (<c>KillMachine(name, …)</c>), or at its own object (<c>Kill(…)</c>). The methods are the
/// same ones. SOURCE: org.freedesktop.machine1(5), "Machine Objects".
/// </summary>
internal sealed record MachineTarget
{
    public const string Interface = "org.freedesktop.machine1.Machine";
    private readonly string? _name;
    private readonly string? _path;

    private MachineTarget(string? name, string? path) => (_name, _path) = (name, path);

    public static MachineTarget Named(string name) => new(name, null);

    public static MachineTarget At(string path) => new(null, path);

    /// <summary>What it is called in errors.</summary>
    public override string ToString() => _name ?? _path!;

    /// <summary>A call of a method, whose arguments are the same either way but for the name.</summary>
    public BusCall Call(string member, string managerMember, Action<BusWriter>? arguments = null) => _path is { } path
        ? new(MachineCalls.Machined, path, Interface, member, arguments)
        : new(MachineCalls.Machined, MachineCalls.MachinedPath, MachineCalls.MachinedManager, managerMember, writer =>
        {
            writer.String(_name!);
            arguments?.Invoke(writer);
        });
}
