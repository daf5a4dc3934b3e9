using System.Globalization;
using System.Text.RegularExpressions;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>
/// The daemon is a service of a real systemd, which keeps the connections of guests while it restarts. What a real guest sees of that. One boot for all.
/// </summary>
public sealed partial class QemuRestartTests
{
    private const string Service = "mgmtd-restarted";
    private const string Rules = GuestConsole.Policy + """
        mgmt.vm.List * work @adminvm allow
        mgmt.vm.List * agent @adminvm allow
        mgmt.Events * work @adminvm allow
        mgmt.Events * work other allow target=dom0
        mgmt.vm.feature.Get * work other allow target=dom0
        mgmt.vm.feature.Set * work other allow target=dom0
        mgmt.vm.volume.ImportWithSize +private work other allow target=dom0

        """;

    private MachinedHost _host = null!;
    private QemuDaemon _qemu = null!;
    private GuestConsole _guest = null!;
    private string _vchan = "";

    private DaemonProcess Daemon => _qemu.Process;

    [OneTimeSetUp]
    public async Task Start()
    {
        _vchan = Directory.CreateTempSubdirectory("vch-").FullName;
        _host = await MachinedHost.StartAsync(CancellationToken.None);
        _qemu = await QemuDaemon.StartAsync(new()
        {
            Backend = "qemu:///system", Config = $$"""{ "machined": false, "vchan-dir": "{{_vchan}}" }""", Policy = new Dictionary<string, string> { ["10-guest.policy"] = Rules },
            StartedBy = _host.AsService(Service, UnitSettings()),
        });
        await _qemu.MakeVmAsync("other");
        await _qemu.MakeVmAsync("agent");
        // Nothing to boot: its agent is ours.
        await Daemon.OkAsync("mgmt.vm.property.Set", "agent", "kernel", "");
        _guest = await GuestConsole.StartAsync(_qemu, "work");
        // A process that holds a port and reads it: a hang-up would be the end of what it reads.
        await _guest.OkAsync("(cat /dev/virtio-ports/org.mgmt.qrexec.7 >/tmp/held; echo ended >/tmp/held.end) >/dev/null 2>&1 &");
    }

    [OneTimeTearDown]
    public async Task Stop()
    {
        if (_qemu is not null)
        {
            await SystemctlAsync("stop", Service);
            await _qemu.DisposeAsync();
        }
        if (_host is not null)
        {
            await _host.DisposeAsync();
        }
        Directory.Delete(_vchan, recursive: true);
    }

    [Test]
    public async Task An_agent_of_qubes_that_connects_once_in_its_life_outlives_the_daemon()
    {
        await Daemon.OkAsync("mgmt.vm.Start", "agent");
        using var agent = await ScriptedAgent.StartAsync(Daemon, _vchan, "agent");
        await ListAsync(agent, 513);
        await SystemctlAsync("restart", Service);
        await ListAsync(agent, 514);
        await KillAsync();
        await ListAsync(agent, 515);
    }

    [Test]
    public async Task A_port_that_a_guest_holds_does_not_hang_up_when_the_daemon_restarts_or_is_killed()
    {
        var before = await AnnouncementsAsync();
        await SystemctlAsync("restart", Service);
        await TestUntil.TrueAsync(async () => await AnnouncementsAsync() > before);
        await KillAsync();
        await TestUntil.TrueAsync(async () => await AnnouncementsAsync() > before + 1);
        Assert.That(await _guest.OkAsync("cat /tmp/held.end 2>/dev/null; true"), Is.Empty);
    }

    [Test]
    public async Task Events_are_followed_across_a_restart_and_none_is_lost()
    {
        await FollowAsync("cursor=yes");
        await Daemon.OkAsync("mgmt.vm.feature.Set", "other", "first", "x");
        await _guest.OkAsync(Until("grep -q first /tmp/events"));
        await SystemctlAsync("restart", Service);
        var ended = await _guest.OkAsync(Until("[ -s /tmp/code ]") + "cat /tmp/code; tr '\\0' '\\n' </tmp/events");
        Assert.That(ended, Does.StartWith("0\n"));
        Assert.That(ended, Does.Match("stream-closed\nreason\nshutdown\ncursor\n[0-9a-f]{16}\\.[0-9]+\n"));
        await Daemon.OkAsync("mgmt.vm.feature.Set", "other", "second", "x");
        await FollowAsync("since=" + Cursors().Matches(ended)[^1].Value);
        await _guest.OkAsync(Until("grep -q second /tmp/events"));
        Assert.That(await _guest.OkAsync("grep -c first /tmp/events; true"), Is.EqualTo("0\n"));
    }

    [Test]
    public async Task A_call_in_flight_when_the_daemon_is_killed_ends_with_an_error_and_a_stream_goes_on_from_its_cursor()
    {
        await FollowAsync("cursor=yes");
        await Daemon.OkAsync("mgmt.vm.feature.Set", "other", "third", "x");
        await _guest.OkAsync(Until("grep -q third /tmp/events"));
        await _guest.OkAsync("""
            rm -f /tmp/input; mkfifo /tmp/input
            (echo 1048576; exec sleep 600) >/tmp/input 2>/dev/null &
            (qrexec-client-vm other mgmt.vm.volume.ImportWithSize+private </tmp/input >/tmp/import 2>/tmp/import.err; echo $? >/tmp/import.code) >/dev/null 2>&1 &
            """);
        await TestUntil.TrueAsync(async () => (await Daemon.OkAsync("mgmt.call.List")).Contains("ImportWithSize", StringComparison.Ordinal));
        await KillAsync();
        await Daemon.OkAsync("mgmt.vm.feature.Set", "other", "fourth", "x");
        var ended = await _guest.OkAsync(Until("[ -s /tmp/code ] && [ -s /tmp/import.code ]") + "cat /tmp/code /tmp/import.code /tmp/import.err; tr '\\0' '\\n' </tmp/events");
        Assert.That(ended, Does.StartWith("255\n255\nqrexec-client-vm: the connection to the host was lost\n"));
        await FollowAsync("since=" + Cursors().Matches(ended)[^1].Value);
        await _guest.OkAsync(Until("grep -q fourth /tmp/events"));
    }

    [Test]
    public async Task A_call_that_was_asked_while_there_was_no_daemon_is_done_once()
    {
        await using var events = await Daemon.EventsAsync("since=now\ncursor=yes");
        var cursor = (await events.ReadAsync())!["cursor"];
        await _guest.OkAsync("(sleep 2; printf late | qrexec-client-vm other mgmt.vm.feature.Set+asked >/tmp/late 2>&1; echo $? >/tmp/late.code) >/dev/null 2>&1 &");
        var pid = await MainPidAsync();
        TestSignal.Send(pid, TestSignal.Stop);
        // The guest's own loop asks too.
        await TestUntil.TrueAsync(async () => await WaitingAsync(pid) >= 2);
        TestSignal.Send(pid, TestSignal.Kill);
        await RunsAgainAsync(pid);
        var outcome = await _guest.OkAsync(Until("[ -s /tmp/late.code ]") + "cat /tmp/late.code /tmp/late");
        Assert.That(outcome, Is.EqualTo("0\n0\0"));
        await Daemon.OkAsync("mgmt.vm.feature.Set", "other", "last", "x");
        await using var since = await Daemon.EventsAsync($"since={cursor}\nsubject=other\n");
        var seen = await since.UntilAsync(e => e.Name == "domain-feature-set:last");
        Assert.That(seen.Count(e => e.Name == "domain-feature-set:asked"), Is.EqualTo(1));
    }

    /// <summary>What the unit that is installed says of descriptors and of its processes.</summary>
    private static string[] UnitSettings()
    {
        var unit = File.ReadAllLines(Path.Combine(Repository.Root, "src", "mgmtd", "packaging", "systemd", "mgmtd.service.in"));
        return [.. unit.Where(line => line.StartsWith("FileDescriptorStoreMax=", StringComparison.Ordinal) || line.StartsWith("KillMode=", StringComparison.Ordinal) || line.StartsWith("NotifyAccess=", StringComparison.Ordinal))];
    }

    /// <summary>A call on the port, which is the lowest that the agent has not given back.</summary>
    private static async Task ListAsync(ScriptedAgent agent, uint port)
    {
        var (code, output, _) = await (await agent.CallAsync("dom0", "mgmt.vm.List", port))!.EndAsync();
        Assert.That(code, Is.Zero);
        Assert.That(output, Does.StartWith("0\0").And.Contain("agent class=AppVM state=Running"));
    }

    private static string Until(string condition) => $"n=0; until {condition}; do n=$((n+1)); [ $n -lt 1500 ] || exit 9; usleep 20000; done\n";

    [GeneratedRegex("[0-9a-f]{16}\\.[0-9]+")]
    private static partial Regex Cursors();

    /// <summary>Follows the other VM's events into /tmp/events; the exit code is in /tmp/code when it is over.</summary>
    private async Task FollowAsync(string how) => await _guest.OkAsync($"""
        rm -f /tmp/code /tmp/events
        (printf '{how}\nsubject=other\n' | qrexec-client-vm dom0 mgmt.Events >/tmp/events; echo $? >/tmp/code) >/dev/null 2>&1 &
        {Until("grep -q connection-established /tmp/events")}
        """);

    /// <summary>How often a daemon has said on the held port that it has just come: the first byte of its mark occurs once in each.</summary>
    private async Task<int> AnnouncementsAsync() =>
        int.Parse(await _guest.OkAsync("tr -dc '\\327' </tmp/held | wc -c"), CultureInfo.InvariantCulture);

    private Task<string> SystemctlAsync(params string[] words) => _host.RunAsync(["systemctl", "--user", .. words], CancellationToken.None);

    private async Task<int> MainPidAsync() => int.Parse(await SystemctlAsync("show", "--property=MainPID", "--value", Service), CultureInfo.InvariantCulture);

    /// <summary>How many of the process's connections hold bytes that it has not read.</summary>
    private async Task<int> WaitingAsync(int pid)
    {
        var sockets = await _host.RunAsync(["ss", "-xHp"], CancellationToken.None);
        return sockets.Split('\n').Count(line => line.Contains($"pid={pid},", StringComparison.Ordinal) && line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[2] != "0");
    }

    private async Task KillAsync()
    {
        var pid = await MainPidAsync();
        TestSignal.Send(pid, TestSignal.Kill);
        await RunsAgainAsync(pid);
    }

    private Task RunsAgainAsync(int before) => TestUntil.TrueAsync(async () =>
        await MainPidAsync() is var now and > 0 && now != before && (await SystemctlAsync("show", "--property=ActiveState", "--value", Service)).StartsWith("active", StringComparison.Ordinal));
}
