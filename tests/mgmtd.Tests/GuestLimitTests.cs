using System.Text.Json;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>What one VM may take of the daemon, with agents that are scripted.</summary>
public sealed class GuestLimitTests
{
    private const int KiB = 1024;
    private readonly List<ScriptedAgent> _agents = [];
    private string _directory = "";
    private DaemonProcess? _daemon;

    private DaemonProcess Daemon => _daemon!;

    [SetUp]
    public async Task Start()
    {
        _directory = Directory.CreateTempSubdirectory("lim-").FullName;
        _daemon = await DaemonProcess.StartAsync(new()
        {
            Config = $$"""{ "vchan-dir": "{{_directory}}", "guest-payload-mib": 1, "request-deadline-s": 20 }""",
            Policy = new Dictionary<string, string> { ["10-guest.policy"] = "mgmt.policy.Replace * @anyvm @adminvm allow\n" },
        });
        foreach (var vm in new[] { "work", "vault" })
        {
            await Daemon.OkAsync("mgmt.vm.Start", vm);
            _agents.Add(await ScriptedAgent.StartAsync(Daemon, _directory, vm));
        }
    }

    [TearDown]
    public async Task Stop()
    {
        _agents.ForEach(agent => agent.Dispose());
        _agents.Clear();
        if (_daemon is not null)
        {
            await _daemon.DisposeAsync();
        }
        Directory.Delete(_directory, recursive: true);
    }

    [Test]
    public async Task The_payloads_of_one_vm_have_a_bound_together_and_another_vm_has_its_own()
    {
        var first = await BeginAsync(_agents[0], 513, 700);
        await HeldAsync("work", 700);
        var second = await BeginAsync(_agents[0], 514, 400);
        Assert.That((await second.EndedAsync()).Output, Does.StartWith("2\0MgmtBusyError\0"), "together they are more than a MiB");
        var others = await BeginAsync(_agents[1], 513, 700);
        await HeldAsync("vault", 700);
        foreach (var call in new[] { others, first })
        {
            // The token is none: it was looked at, so the payload was there.
            Assert.That((await call.EndAsync()).Output, Does.StartWith("2\0").And.Not.Contain("MgmtBusyError"));
        }
        var third = await BeginAsync(_agents[0], 515, 400);
        Assert.That((await third.EndAsync()).Output, Does.StartWith("2\0").And.Not.Contain("MgmtBusyError"));
        Assert.That(Daemon.Audit("mgmt.policy.Replace").Count(line => line.GetProperty("outcome").GetString() == "MgmtBusyError"), Is.EqualTo(1));
        await HeldAsync("work", 0);
    }

    private static async Task<ScriptedAgent.Call> BeginAsync(ScriptedAgent agent, uint port, int payloadKiB)
    {
        var call = (await agent.CallAsync("dom0", "mgmt.policy.Replace+x", port))!;
        for (var left = payloadKiB; left > 0; left -= 50)
        {
            await call.SayAsync(new string('x', 50 * KiB));
        }
        return call;
    }

    private Task HeldAsync(string vm, int kib) => TestUntil.TrueAsync(async () =>
    {
        using var channels = JsonDocument.Parse(await Daemon.OkAsync("mgmt.call.Channels"));
        return channels.RootElement.EnumerateArray().Single(one => one.GetProperty("vm").GetString() == vm).GetProperty("payload_bytes").GetInt64() == kib * KiB;
    });
}
