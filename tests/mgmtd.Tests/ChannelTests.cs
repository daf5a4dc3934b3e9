using System.Text.Json;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>What call.Channels says of VMs whose agents are scripted.</summary>
public sealed class ChannelTests
{
    private readonly string _directory = Directory.CreateTempSubdirectory("chn-").FullName;
    private DaemonProcess? _daemon;

    private DaemonProcess Daemon => _daemon!;

    [SetUp]
    public async Task Start()
    {
        Directory.CreateDirectory(Path.Combine(_directory, "vchan"));
        Directory.CreateDirectory(Path.Combine(_directory, "rpc"));
        var hold = Path.Combine(_directory, "rpc", "test.Hold");
        await File.WriteAllTextAsync(hold, "#!/bin/sh\necho begun\ncat\n");
        File.SetUnixFileMode(hold, (UnixFileMode)0b111_101_101);
        _daemon = await DaemonProcess.StartAsync(new()
        {
            Config = $$"""{ "vchan-dir": "{{_directory}}/vchan", "service-dirs": ["{{_directory}}/rpc"], "service-user": "root" }""",
            Policy = new Dictionary<string, string> { ["10-guest.policy"] = "test.Hold * work @adminvm allow\n" },
        });
        await Daemon.OkAsync("mgmt.vm.Start", "work");
    }

    [TearDown]
    public async Task Stop()
    {
        if (_daemon is not null)
        {
            await _daemon.DisposeAsync();
        }
        Directory.Delete(_directory, recursive: true);
    }

    [Test]
    public async Task A_call_is_shown_while_it_runs_with_its_bytes()
    {
        var before = await WorkAsync();
        Assert.That((before.GetProperty("calls").GetInt32(), before.GetProperty("calls_limit").GetInt32()), Is.EqualTo((0, 32)));
        Assert.That(before.GetProperty("vchan").GetProperty("connected").GetBoolean(), Is.False, "no agent yet");
        using var agent = await ScriptedAgent.StartAsync(Daemon, Path.Combine(_directory, "vchan"), "work");
        var call = (await agent.CallAsync("dom0", "test.Hold+x", 513))!;
        await call.SayAsync("1234");
        Assert.That(await call.HearAsync(), Does.StartWith("begun\n"));
        await TestUntil.TrueAsync(async () => (await RunningAsync()).GetProperty("out").GetInt64() == 10);
        var running = await RunningAsync();
        Assert.That((running.GetProperty("method").GetString(), running.GetProperty("target").GetString(), running.GetProperty("via").GetString()), Is.EqualTo(("test.Hold", "dom0", "vchan-socket")));
        Assert.That((running.GetProperty("in").GetInt64(), running.GetProperty("caller_gone").GetBoolean()), Is.EqualTo((4, false)));
        var link = (await WorkAsync()).GetProperty("vchan");
        Assert.That((link.GetProperty("version").GetInt32(), link.GetProperty("data_channels").GetInt32()), Is.EqualTo((4, 1)));
        // The id is that of call.List, and of call.Cancel.
        var id = running.GetProperty("id").GetInt64();
        Assert.That(await Daemon.OkAsync("mgmt.call.List"), Does.Contain($"{id} method=test.Hold "));
        await Daemon.OkAsync("mgmt.call.Cancel", "dom0", $"{id}");
        Assert.That((await call.EndedAsync()).Code, Is.EqualTo(125));
        await TestUntil.TrueAsync(async () => (await WorkAsync()).GetProperty("calls").GetInt32() == 0);
    }

    [Test]
    public async Task A_vm_that_does_not_run_has_no_channels()
    {
        await WorkAsync();
        await Daemon.OkAsync("mgmt.vm.Kill", "work");
        await TestUntil.TrueAsync(async () => (await ChannelsAsync()).EnumerateArray().All(vm => vm.GetProperty("vm").GetString() != "work"));
    }

    private async Task<JsonElement> ChannelsAsync() => JsonDocument.Parse(await Daemon.OkAsync("mgmt.call.Channels")).RootElement;

    private async Task<JsonElement> WorkAsync() => (await ChannelsAsync()).EnumerateArray().Single(vm => vm.GetProperty("vm").GetString() == "work");

    private async Task<JsonElement> RunningAsync() => (await WorkAsync()).GetProperty("in_flight").EnumerateArray().Single();
}
