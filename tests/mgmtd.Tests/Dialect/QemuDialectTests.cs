namespace Mgmt.Daemon.Tests;

/// <summary>What of the dialect does not depend on what the test host holds, on the real QEMU.</summary>
public sealed class QemuDialectTests
{
    private QemuDaemon? _daemon;

    public static IEnumerable<Scenario> Scenarios => new[] { "formats.json", "events.json", "tools.json" }.SelectMany(Scenario.Read).Where(scenario => scenario.OnQemu);

    [OneTimeSetUp]
    public async Task Start() => _daemon = await QemuDaemon.StartAsync();

    [OneTimeTearDown]
    public async Task Stop()
    {
        if (_daemon is not null)
        {
            await _daemon.DisposeAsync();
        }
    }

    [TestCaseSource(nameof(Scenarios))]
    public Task The_same_bytes_come_on_qemu(Scenario scenario) => ScenarioRun.PlayAsync(_daemon!.Process, scenario, "base");
}
