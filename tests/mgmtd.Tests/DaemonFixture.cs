using Mgmt.Testing;

[assembly: Parallelizable(ParallelScope.Fixtures)]
[assembly: LevelOfParallelism(4)]

namespace Mgmt.Daemon.Tests;

/// <summary>One daemon for all tests of a fixture; each test uses VMs of its own where it changes something.</summary>
public abstract class DaemonFixture
{
    private DaemonProcess? _daemon;

    protected DaemonProcess Daemon => _daemon!;

    protected virtual DaemonOptions Options => new();

    [OneTimeSetUp]
    public async Task Start() => _daemon = await DaemonProcess.StartAsync(Options);

    [OneTimeTearDown]
    public async Task Stop()
    {
        if (_daemon is not null)
        {
            await _daemon.DisposeAsync();
        }
    }

    /// <summary>Makes an AppVM from debian without a netvm.</summary>
    protected async Task<string> MakeVmAsync(string name)
    {
        await Daemon.OkAsync("mgmt.vm.Create.AppVM", "dom0", "debian", $"name={name} label=red");
        await Daemon.OkAsync("mgmt.vm.property.Set", name, "netvm", "");
        return name;
    }
}
