using System.Text.Json;
using Mgmt.Core;
using Mgmt.Testing;
using Mgmt.Wire;

namespace Mgmt.Daemon.Tests;

/// <summary>
/// kill -9 of the daemon in the middle of an attach and of a detach, with the real QEMU: the next daemon says what QEMU has, nothing is left of what QEMU has not, and the same call then works.
/// </summary>
[NonParallelizable]
internal sealed class DeviceCrashTests
{
    private const string Vm = "cut", Device = "dom0+file-cut.img";
    private const int MostChanges = 9;
    private QemuDaemon _qemu = null!;
    private string _exported = null!;

    private DaemonProcess Daemon => _qemu.Process;

    [OneTimeSetUp]
    public async Task Start()
    {
        _exported = Directory.CreateTempSubdirectory("mgmt-exported-").FullName;
        await File.WriteAllBytesAsync(Path.Combine(_exported, "cut.img"), new byte[2 << 20]);
        var config = JsonSerializer.Serialize(new Dictionary<string, object> { ["machined"] = false, ["exported-files"] = new[] { _exported } });
        _qemu = await QemuDaemon.StartAsync(new() { Backend = "qemu:///system", Config = config });
        await _qemu.MakeVmAsync(Vm);
        await _qemu.ReadyAsync(Vm);
    }

    [OneTimeTearDown]
    public async Task Stop()
    {
        if (_qemu is not null)
        {
            await _qemu.DisposeAsync();
        }
        if (_exported is not null)
        {
            Directory.Delete(_exported, recursive: true);
        }
    }

    /// <summary>Frozen: QEMU stands still when the daemon dies, so that a command of the dead daemon's is carried out after it.</summary>
    [Test]
    public async Task A_daemon_killed_at_any_step_leaves_what_qemu_has_and_nothing_else([Values("Attach", "Detach")] string call, [Values] bool frozen)
    {
        var cuts = 0;
        for (var changes = 0; changes < MostChanges; changes++)
        {
            var when = $"{call} killed after {changes} changes";
            await ToAsync(attached: call == "Detach");
            var wasCut = await CutAsync(call, changes, frozen);
            cuts += wasCut ? 1 : 0;
            await Daemon.StartAgainAsync();
            await TestUntil.TrueAsync(async () => await Daemon.StateAsync(Vm) == "Running");
            await AgreeAsync(when);
            if (!wasCut)
            {
                break;
            }
        }
        Assert.That(cuts, Is.GreaterThan(1), "no kill was in time");
        TestContext.Out.WriteLine($"{call}: cut off {cuts} times");
        // What was cut off can be done.
        await ToAsync(attached: true);
        await ToAsync(attached: false);
        Assert.That(await RemainsAsync(), Is.Empty);
    }

    /// <summary>Begins the call and kills the daemon after so many changes in QEMU, or when it has answered; true when it never answered.</summary>
    private async Task<bool> CutAsync(string call, int changes, bool frozen)
    {
        var pid = _qemu.Pid(Vm);
        var before = await SignatureAsync();
        var calling = Daemon.CallAsync($"mgmt.vm.device.block.{call}", Vm, Device);
        for (var seen = 0; seen < changes && !calling.IsCompleted;)
        {
            if (await SignatureAsync() is var now && now != before)
            {
                (before, seen) = (now, seen + 1);
            }
        }
        if (frozen)
        {
            TestSignal.Send(pid, TestSignal.Stop);
        }
        await Daemon.KillHardAsync();
        if (frozen)
        {
            TestSignal.Send(pid, TestSignal.Continue);
        }
        try
        {
            return await calling is not Reply.Ok;
        }
        catch (MgmtException)
        {
            // Nobody was left to answer.
            return true;
        }
    }

    /// <summary>The list and QEMU tell the same, and QEMU has files and nodes for what it has and for nothing else. A guest that was asked to let go may do so at any time.</summary>
    private async Task AgreeAsync(string when)
    {
        var told = "";
        var until = Environment.TickCount64 + (long)DaemonProcess.Deadline.TotalMilliseconds;
        while (true)
        {
            var (listed, devices, remains) = (await ListedAsync(), await DevicesAsync(), await RemainsAsync());
            told = $"{when}: listed {listed}, in QEMU {string.Join(' ', devices)}, behind it {string.Join(' ', remains)}";
            if (listed == devices.Count > 0 && devices.Count <= 1 && remains.Count == (listed ? 3 : 0))
            {
                TestContext.Out.WriteLine(told);
                return;
            }
            Assert.That(Environment.TickCount64, Is.LessThan(until), told);
            await Task.Delay(20);
        }
    }

    /// <summary>Detached, then attached if wanted. A guest that was asked before may let go before it is asked again.</summary>
    private async Task ToAsync(bool attached)
    {
        if (await ListedAsync())
        {
            await Daemon.CallAsync("mgmt.vm.device.block.Detach", Vm, Device);
            await TestUntil.TrueAsync(async () => !await ListedAsync() && (await RemainsAsync()).Count == 0);
        }
        if (attached)
        {
            await Daemon.OkAsync("mgmt.vm.device.block.Attach", Vm, Device);
        }
    }

    private async Task<bool> ListedAsync() => (await Daemon.OkAsync("mgmt.vm.device.block.List", Vm)).Length > 0;

    private async Task<string> SignatureAsync() => string.Join(' ', [.. await DevicesAsync(), .. await RemainsAsync()]);

    private async Task<List<string>> DevicesAsync() => [.. await NamesAsync("qom-list", "name", "mgmt-device-", ",\"arguments\":{\"path\":\"/machine/peripheral\"}")];

    /// <summary>Two nodes and a set of descriptors for each disk.</summary>
    private async Task<List<string>> RemainsAsync() =>
        [.. await NamesAsync("query-named-block-nodes", "node-name", "mgmt-dev-", ",\"arguments\":{\"flat\":true}"), .. await NamesAsync("query-fdsets", "opaque", "mgmt-dev-", "")];

    private async Task<IEnumerable<string>> NamesAsync(string command, string member, string prefix, string arguments)
    {
        var directory = Directory.GetDirectories(Path.Combine(Daemon.RunDirectory, "vm")).Single(path => path.EndsWith("-" + Vm, StringComparison.Ordinal));
        using var answer = JsonDocument.Parse(await RawMonitor.QemuAsync(directory, command, arguments));
        return [.. Texts(answer.RootElement, member).Where(name => name.StartsWith(prefix, StringComparison.Ordinal)).Distinct().Order(StringComparer.Ordinal)];
    }

    private static IEnumerable<string> Texts(JsonElement element, string member) => element.ValueKind switch
    {
        JsonValueKind.Object => element.EnumerateObject().SelectMany(one => one.Name == member && one.Value.ValueKind == JsonValueKind.String ? [one.Value.GetString()!] : Texts(one.Value, member)),
        JsonValueKind.Array => element.EnumerateArray().SelectMany(one => Texts(one, member)),
        _ => [],
    };
}
