using System.Text;
using Mgmt.Core;

namespace Mgmt.TestHost.Tests;

/// <summary>Hosts with one VM <c>vm</c>, and what is asked of them again and again.</summary>
internal static class Hosts
{
    public static CancellationToken None => CancellationToken.None;

    public static TestHostDefinition With(TimeProvider time, string delays = "", string faults = "") =>
        TestHostDefinition.FromDocument(
            "test:///memory",
            Encoding.UTF8.GetBytes($$"""
                { "pools": { "p": { "driver": "qcow2" } },
                  "vms": { "vm": { "class": "StandaloneVM", "behaviour": { "delays": { {{delays}} }, "faults": { {{faults}} } }, "volumes": {
                    "root": { "pool": "p", "vid": "vm/root", "size": 8, "rw": true, "save_on_stop": true, "snap_on_start": false } } } } }
                """),
            time);

    public static VmLaunch Launch(string name = "vm") => new()
    {
        Name = VmName.Parse(name),
        Uuid = new Guid("5e7ab1e0-0000-4000-8000-000000000001"),
        Qid = 1,
        StartGuid = Guid.NewGuid(),
        VirtualProcessors = 2,
        MemoryMiB = 400,
        VirtMode = "pvh",
        Disks = [],
    };

    public static async Task<IRunningVm> RunAsync(TestHostDefinition host)
    {
        var vm = await host.Backend.LaunchAsync(Launch(), None);
        await vm.ContinueAsync(None);
        return vm;
    }

    /// <summary>The signals that are there already.</summary>
    public static List<VmSignal> Signals(IRunningVm vm)
    {
        var signals = new List<VmSignal>();
        while (vm.Signals.TryRead(out var signal))
        {
            signals.Add(signal);
        }
        return signals;
    }

    public static VmSignal Agent(AgentState state) => new VmSignal.AgentChanged(state);

    public static VmSignal Exited(string reason, bool crashed = false) => new VmSignal.Exited(new VmExit(crashed, reason));

    /// <summary>The call is refused with that code.</summary>
    public static async Task<MgmtException> Refused(ErrorCode code, Task call)
    {
        try
        {
            await call.WaitAsync(TimeSpan.FromSeconds(10));
        }
        catch (MgmtException error)
        {
            Assert.That(error.Code, Is.EqualTo(code));
            return error;
        }
        throw new AssertionException($"not refused with {code}");
    }
}
