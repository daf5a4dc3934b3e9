using System.Diagnostics;
using Mgmt.Core;

namespace Mgmt.Machined.Tests;

/// <summary>A process that leads a machine, until it is disposed.</summary>
internal sealed class Leader : IDisposable
{
    private static int _qid = 100;
    private readonly Process _process;

    private Leader(string name, params string[] command)
    {
        _process = Process.Start(command[0], command[1..]);
        Request = new MachineRequest(Interlocked.Increment(ref _qid), VmName.Parse(name), Guid.NewGuid(), _process.Id);
    }

    public MachineRequest Request { get; }

    public string MachineName => Mgmt.Machined.MachineName.For(Request.Qid, Request.Name);

    public string[] ControlGroups => File.ReadAllLines($"/proc/{_process.Id}/cgroup");

    public static Leader Sleep(string name = "work") => new(name, "sleep", "600");

    public static Leader Qemu() => new("work", "qemu-system-x86_64", "-S", "-display", "none", "-machine", "none", "-nodefaults");

    /// <summary>The end of the control group's path of a machine's or unit's scope.</summary>
    public static string Scope(string unit) => "/machine.slice/" + unit;

    /// <summary>How systemd writes a machine's name within its scope's name.</summary>
    public string MachineScope => $"machine-{MachineName.Replace("-", "\\x2d", StringComparison.Ordinal)}.scope";

    public void Kill() => _process.Kill();

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }
}
