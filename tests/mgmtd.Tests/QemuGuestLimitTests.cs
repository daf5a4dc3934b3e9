using System.Globalization;
using System.Text.Json;
using Mgmt.Qrexec;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>Two real guests: what one does to its channels is its own affair, and is seen. One boot for all.</summary>
[CancelAfter(600_000)]
public sealed class QemuGuestLimitTests
{
    private const int Ports = 8;
    private const string Rules = GuestConsole.Policy + """
        mgmt.vm.List * @tag:console @adminvm allow
        mgmt.Events * work @adminvm allow
        test.Asked * work keeper ask default_target=keeper user=root
        test.Hold * work keeper allow user=root
        test.Echo * work keeper allow user=root
        test.Endless * work @adminvm allow
        test.Table * work @adminvm allow
        * * work @anyvm deny notify=no

        """;

    // Waits in a guest for what a condition says, for at most a minute.
    private const string Await = "await() { n=0; while ! eval \"$1\"; do n=$((n+1)); [ $n -lt 1200 ] || exit 99; usleep 50000; done; }; ";

    private string _services = "";
    private QemuDaemon _qemu = null!;
    private GuestConsole _guest = null!;
    private GuestConsole _keeper = null!;

    private DaemonProcess Daemon => _qemu.Process;

    [OneTimeSetUp]
    public async Task Start()
    {
        _services = Directory.CreateTempSubdirectory("svc-").FullName;
        Service("test.Endless", "exec cat /dev/zero");
        Service("test.Table", $"exec cat {_services}/table");
        await File.WriteAllBytesAsync(Path.Combine(_services, "table"), Table());
        _qemu = await QemuDaemon.StartAsync(new()
        {
            Backend = "qemu:///system", Config = $$"""{ "machined": false, "service-dirs": ["{{_services}}"], "service-user": "root" }""",
            Policy = new Dictionary<string, string> { ["10-guest.policy"] = Rules },
        });
        _guest = await GuestConsole.StartAsync(_qemu, "work");
        _keeper = await GuestConsole.StartAsync(_qemu, "keeper");
        await _qemu.ReadyAsync("work");
        await _keeper.OkAsync("""
            mkdir -p /run/qubes-rpc; cd /run/qubes-rpc
            printf '#!/bin/sh\necho $$ >/tmp/pid\necho begun\nexec sleep 1000\n' >test.Hold
            printf '#!/bin/sh\nexec cat\n' >test.Echo
            cp test.Echo test.Asked; chmod 755 test.*
            """);
    }

    [OneTimeTearDown]
    public async Task Stop()
    {
        if (_qemu is not null)
        {
            await _qemu.DisposeAsync();
        }
        Directory.Delete(_services, recursive: true);
    }

    [Test]
    public async Task A_call_is_seen_on_its_port_as_long_as_its_caller_is_there()
    {
        await _guest.OkAsync(Await + "printf 'since=now\\n' | qrexec-client-vm dom0 mgmt.Events >/tmp/seen & echo $! >/tmp/seer; await 'grep -q connection-established /tmp/seen'");
        var call = (await CallsAsync("work")).Single(one => one.GetProperty("method").GetString() == "mgmt.Events");
        Assert.That((call.GetProperty("via").GetString(), call.GetProperty("in").GetInt64()), Is.EqualTo(("virtio-serial", 10L)));
        Assert.That(call.GetProperty("out").GetInt64(), Is.Positive);
        var id = call.GetProperty("id").GetInt64();
        var port = (await VmAsync("work")).GetProperty("ports").EnumerateArray().Single(one => one.TryGetProperty("call", out var busy) && busy.GetInt64() == id);
        Assert.That((port.GetProperty("connected").GetBoolean(), port.GetProperty("open").GetBoolean()), Is.EqualTo((true, true)));
        Assert.That((await VmAsync("work")).GetProperty("ports").GetArrayLength(), Is.EqualTo(Ports));
        await _guest.OkAsync("kill -9 $(cat /tmp/seer)");
        var number = port.GetProperty("port").GetInt32();
        await TestUntil.TrueAsync(async () => (await CallsAsync("work")).All(one => one.GetProperty("method").GetString() != "mgmt.Events"));
        await TestUntil.TrueAsync(async () => !(await VmAsync("work")).GetProperty("ports")[number].GetProperty("open").GetBoolean());
    }

    [Test]
    public async Task A_call_between_vms_is_cancelled_at_both_ends()
    {
        await _guest.OkAsync(Await + "rm -f /tmp/code; (qrexec-client-vm keeper test.Hold </dev/zero >/tmp/held; echo $? >/tmp/code) & await 'grep -q begun /tmp/held'");
        var call = (await CallsAsync("work")).Single(one => one.GetProperty("method").GetString() == "test.Hold");
        var id = call.GetProperty("id").GetInt64();
        var agentPort = (await VmAsync("keeper")).GetProperty("agent_ports").EnumerateArray().Single(one => one.TryGetProperty("call", out _));
        Assert.That((agentPort.GetProperty("source").GetString(), agentPort.GetProperty("call").GetInt64()), Is.EqualTo(("work", id)));
        await Daemon.OkAsync("mgmt.call.Cancel", "dom0", id.ToString(CultureInfo.InvariantCulture));
        Assert.That(await _guest.OkAsync(Await + "await '[ -s /tmp/code ]'; cat /tmp/code"), Is.EqualTo("125\n"));
        await _keeper.OkAsync(Await + "await '! kill -0 $(cat /tmp/pid) 2>/dev/null'");
        Assert.That(Daemon.Audit("test.Hold")[^1].GetProperty("outcome").GetString(), Is.EqualTo("MgmtCancelledError"));
        // The port of the agent is whole.
        Assert.That(await _guest.OkAsync("for i in 1 2 3; do echo $i | qrexec-client-vm keeper test.Echo; done"), Is.EqualTo("1\n2\n3\n"));
    }

    [TestCase("allow:keeper", 0, "asked\n")]
    [TestCase("deny", 126, "")]
    public async Task A_service_of_another_vm_is_asked_about_where_the_policy_says_so(string answer, int code, string output)
    {
        await using var agent = await Daemon.EventsAsync(method: "mgmt.policy.Agent");
        await _guest.OkAsync("rm -f /tmp/asked.code; (echo asked | qrexec-client-vm keeper test.Asked >/tmp/asked; echo $? >/tmp/asked.code) &");
        var asked = await agent.NextAsync("policy-ask");
        Assert.That((asked["service"], asked["source"], asked["targets"], asked["default"]), Is.EqualTo(("test.Asked", "work", "keeper", "keeper")));
        await Daemon.OkAsync("mgmt.policy.Answer", "dom0", asked["id"]!, answer);
        Assert.That(await _guest.OkAsync(Await + "await '[ -s /tmp/asked.code ]'; cat /tmp/asked.code /tmp/asked"), Is.EqualTo($"{code}\n{output}"));
    }

    [Test]
    public async Task A_guest_that_floods_all_its_ports_harms_nobody_else_and_is_served_again_afterwards()
    {
        var before = ResidentKiB("VmRSS");
        // Until it is told otherwise, which is by its other agent: its console needs a port too. Noise; input that nobody reads; calls without end; output that nobody takes.
        await _guest.OkAsync("""
            cat >/tmp/flood <<'END'
            cd /dev/virtio-ports
            for i in 7 6; do cat /dev/zero >org.mgmt.qrexec.$i 2>/dev/null & echo $!; done >/tmp/flooders
            for i in 1 2; do qrexec-client-vm keeper test.Hold </dev/zero >/dev/null 2>&1 & echo $!; done >>/tmp/flooders
            for i in 1 2; do { qrexec-client-vm dom0 test.Endless </dev/null 2>/dev/null & echo $! >>/tmp/flooders; } | sleep 200 & done
            for i in 1 2 3 4 5 6; do sh -c 'while [ ! -e /tmp/enough ]; do qrexec-client-vm dom0 mgmt.vm.List </dev/null >/dev/null 2>&1; done' & done
            n=0; until [ -e /tmp/enough ] || [ $n -ge 1500 ]; do n=$((n+1)); usleep 100000; done
            touch /tmp/enough; kill $(cat /tmp/flooders)
            echo over >/tmp/over
            END
            rm -f /tmp/enough /tmp/over; sh /tmp/flood </dev/null >/dev/null 2>&1 &
            """);
        await TestUntil.TrueAsync(FloodsAsync);
        var lists = Daemon.Audit("mgmt.vm.List").Count;
        for (var i = 0; i < 5; i++)
        {
            await Daemon.OkAsync("mgmt.vm.List");
            Assert.That(await _keeper.OkAsync("qrexec-client-vm dom0 mgmt.vm.List"), Does.StartWith("0\0"));
        }
        Assert.That((await CallsAsync("work")).Count(call => call.GetProperty("method").GetString() == "test.Hold"), Is.EqualTo(2), "it was over before the others were served");
        Assert.That(Daemon.Audit("mgmt.vm.List").Skip(lists).Count(line => line.GetProperty("source").GetString() == "work"), Is.Positive, "its own calls go on");
        var grown = ResidentKiB("VmHWM") - before;
        await TestContext.Out.WriteLineAsync($"the daemon had {before} KiB and {grown} KiB more at most");
        Assert.That(grown, Is.LessThan(128 * 1024));
        await Daemon.OkAsync("mgmt.vm.agent.Exec", "work", payload: """{"path":"/bin/touch","arg":["/tmp/enough"]}""");
        await TestUntil.TrueAsync(async () => (await CallsAsync("work")).All(call => !call.GetProperty("method").GetString()!.StartsWith("test.", StringComparison.Ordinal)));
        // Its console waited for a port, longer and longer each time.
        var polls = Polls();
        await TestUntil.TrueAsync(() => Task.FromResult(Polls() > polls));
        // All of its ports again, at once.
        Assert.That(await _guest.OkAsync(Await + "await '[ -s /tmp/over ]'; for i in 1 2 3 4 5 6 7 8; do qrexec-client-vm dom0 mgmt.vm.List >/tmp/after.$i & done; wait; cat /tmp/after.* | grep -c '^dom0 '"), Is.EqualTo("8\n"));
        Assert.That(await _guest.OkAsync("echo again | qrexec-client-vm keeper test.Echo"), Is.EqualTo("again\n"));
    }

    [Test]
    public async Task A_guest_that_says_all_that_it_may_not_harms_nobody_else()
    {
        await _guest.OkAsync("""
            qrexec-client-vm dom0 test.Table >/tmp/table
            rm -f /tmp/said
            (exec 3<>/dev/virtio-ports/org.mgmt.qrexec.7; cat <&3 >/tmp/heard & for i in 1 2 3; do cat /tmp/table >&3; done; usleep 500000; kill $!; exec 3>&-; echo done >/tmp/said) >/dev/null 2>&1 &
            """);
        for (var i = 0; i < 10; i++)
        {
            await Daemon.OkAsync("mgmt.vm.List");
            Assert.That(await _keeper.OkAsync("qrexec-client-vm dom0 mgmt.vm.List"), Does.StartWith("0\0"));
        }
        await _guest.OkAsync(Await + "await '[ -s /tmp/said ]'; [ -s /tmp/heard ]");
        Assert.That(Daemon.Log, Does.Contain("work port 7: the guest broke the protocol"));
        await TestUntil.TrueAsync(async () => (await CallsAsync("work")).All(call => call.GetProperty("method").GetString()!.StartsWith("mgmt.vm.feature", StringComparison.Ordinal)));
        Assert.That(await _guest.OkAsync("for i in 1 2 3 4 5 6 7 8; do qrexec-client-vm dom0 mgmt.vm.List >/tmp/after.$i & done; wait; cat /tmp/after.* | grep -c '^dom0 '"), Is.EqualTo("8\n"));
    }

    /// <summary>Conversations that go wrong, one after the other: every type, with lengths that it may have and may not, in every state.</summary>
    private static byte[] Table()
    {
        byte[] preamble = [.. PortMark.Bytes, .. Enumerable.Repeat((byte)7, PortMark.NonceSize)];
        byte[] hello = [.. Header(0x300, 4), 4, 0, 0, 0];
        byte[] trigger = [.. Header(0x213, 160 + 13), .. new byte[64], .. "dom0"u8, .. new byte[60], .. "SOCKET1"u8, .. new byte[25], .. "mgmt.vm.List\0"u8];
        byte[][] states = [preamble, [.. preamble, .. hello], [.. preamble, .. hello, .. trigger], [.. preamble, .. hello, .. trigger, .. Header(0x190, 0)]];
        uint[] types = [.. Enum.GetValues<MessageType>().Select(type => (uint)type), 0, 0x999, uint.MaxValue];
        return
        [
            .. from state in states from type in types from length in new uint[] { 0, 1, 4, 65_536, 65_537, uint.MaxValue }
               from b in (byte[])[.. state, .. Header(type, length), .. new byte[Math.Min(length, 16)]] select b,
        ];
    }

    private static byte[] Header(uint type, uint length) => [.. BitConverter.GetBytes(type), .. BitConverter.GetBytes(length)];

    /// <summary>How often the console of that guest has asked what to do.</summary>
    private int Polls() => Daemon.Audit("mgmt.vm.feature.Get").Count(line => line.GetProperty("source").GetString() == "work");

    /// <summary>All of its ports are open.</summary>
    private async Task<bool> FloodsAsync() =>
        (await VmAsync("work")).GetProperty("ports").EnumerateArray().Count(port => port.TryGetProperty("open", out var open) && open.GetBoolean()) == Ports;

    private async Task<JsonElement> VmAsync(string name) => JsonDocument.Parse(await Daemon.OkAsync("mgmt.call.Channels")).RootElement.EnumerateArray().Single(vm => vm.GetProperty("vm").GetString() == name);

    private async Task<List<JsonElement>> CallsAsync(string vm) => [.. (await VmAsync(vm)).GetProperty("in_flight").EnumerateArray()];

    private int ResidentKiB(string member) =>
        int.Parse(File.ReadLines($"/proc/{Daemon.Pid}/status").Single(line => line.StartsWith(member + ":", StringComparison.Ordinal)).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);

    private void Service(string name, string script)
    {
        var path = Path.Combine(_services, name);
        File.WriteAllText(path, $"#!/bin/sh\n{script}\n");
        File.SetUnixFileMode(path, (UnixFileMode)0b111_101_101);
    }
}
