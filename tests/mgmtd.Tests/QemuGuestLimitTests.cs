using System.Globalization;
using System.Text.Json;
using Mgmt.Qrexec;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>Two real guests: what one does to its channels is its own affair, and is seen. One boot for all.</summary>
[CancelAfter(600_000)]
public sealed class QemuGuestLimitTests
{
    private const string Rules = GuestConsole.Policy + """
        mgmt.vm.List * @tag:console @adminvm allow
        mgmt.Events * work @adminvm allow
        test.Asked * work keeper ask default_target=keeper user=root
        test.Hold * work keeper allow user=root
        test.Echo * work keeper allow user=root
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

    private async Task<JsonElement> VmAsync(string name) => JsonDocument.Parse(await Daemon.OkAsync("mgmt.call.Channels")).RootElement.EnumerateArray().Single(vm => vm.GetProperty("vm").GetString() == name);

    private async Task<List<JsonElement>> CallsAsync(string vm) => [.. (await VmAsync(vm)).GetProperty("in_flight").EnumerateArray()];

    private void Service(string name, string script)
    {
        var path = Path.Combine(_services, name);
        File.WriteAllText(path, $"#!/bin/sh\n{script}\n");
        File.SetUnixFileMode(path, (UnixFileMode)0b111_101_101);
    }
}
