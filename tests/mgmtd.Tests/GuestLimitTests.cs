using System.Diagnostics;
using System.Text.Json;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>What one VM may take of the daemon, with agents that are scripted.</summary>
public sealed class GuestLimitTests
{
    private const int KiB = 1024;
    // SOURCE: docs/guest-channels.md, "Fairness and limits".
    private const int CallsPerPort = 4;
    private const int Burst = 200;
    private const int PerSecond = 20;
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
            Config = $$"""{ "vchan-dir": "{{_directory}}", "guest-payload-mib": 1, "request-deadline-s": 20, "guest-ports": 1 }""",
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

    [Test]
    public async Task A_vm_with_too_many_calls_in_flight_is_told_that_it_is_busy_and_not_that_it_may_not()
    {
        var held = new List<ScriptedAgent.Call>();
        for (var port = 513u; port < 513 + CallsPerPort; port++)
        {
            held.Add(await BeginAsync(_agents[0], port, 50));
        }
        var more = (await _agents[0].CallAsync("dom0", "mgmt.vm.List", 513 + CallsPerPort))!;
        var (code, output, _) = await more.EndedAsync();
        Assert.That((code, output), Is.EqualTo((0, $"2\0MgmtBusyError\0\0%s has %s calls in flight already, some of callers that are gone; try again when one has ended\0work\0{CallsPerPort}\0")));
        var service = await _agents[0].CallAsync("dom0", "some.Service", 520);
        Assert.That(service, Is.Null, "what is no management call has no reply to say it in");
        Assert.That((await (await _agents[1].CallAsync("dom0", "mgmt.policy.Replace+x", 513))!.EndAsync()).Output, Does.StartWith("2\0").And.Not.Contain("MgmtBusyError"));
        Assert.That((await held[0].EndAsync()).Output, Does.StartWith("2\0").And.Not.Contain("MgmtBusyError"));
    }

    [Test]
    public async Task A_vm_that_may_nothing_cannot_fill_the_disk_with_what_the_audit_log_says_of_it()
    {
        const int Calls = Burst + 50;
        var began = Stopwatch.GetTimestamp();
        for (var i = 0; i < Calls; i++)
        {
            Assert.That(await _agents[0].CallAsync("dom0", "mgmt.vm.List+" + new string('x', 2000), 513, claimed: "vault"), Is.Null);
        }
        Assert.That(Stopwatch.GetElapsedTime(began).TotalSeconds, Is.GreaterThan((Calls - Burst - 1) / (double)PerSecond), "those beyond the burst came at their pace");
        var lines = Daemon.Audit("mgmt.vm.List").Where(line => line.GetProperty("source").GetString() == "work").ToList();
        Assert.That(lines, Has.Count.EqualTo(Calls));
        Assert.That(lines[^1].GetProperty("argument").GetString(), Is.EqualTo(new string('x', 256) + "... (2000)"));
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
