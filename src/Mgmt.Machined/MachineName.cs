using Mgmt.Core;

namespace Mgmt.Machined;

/// <summary>The names under which VMs stand in the host's registry.</summary>
public static class MachineName
{
    /// <summary>As <see cref="HostMachineName.ForVm"/> has it.</summary>
    public static string For(int qid, VmName name) => HostMachineName.ForVm(qid, name).Value;

    /// <summary>The transient unit that stands in for the machine of that name.</summary>
    internal static string Unit(string machine) => machine + ".scope";

    /// <summary>The service that runs the container of an image. Every character of a machine's name stands for itself in a unit's. SOURCE: systemd.unit(5), systemd-nspawn(1).</summary>
    internal static string Container(HostMachineName machine) => $"systemd-nspawn@{machine.Value}.service";
}
