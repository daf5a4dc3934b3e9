using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>A real guest that is an admin VM: its calls reach the daemon on a port that its QEMU holds. One boot for all.</summary>
public sealed class QemuGuestCallTests
{
    private const string Rules = GuestConsole.Policy + """
        mgmt.vm.List * work @adminvm allow
        mgmt.vm.Start * work other allow target=dom0
        mgmt.vm.CurrentState * work other allow target=dom0
        mgmt.vm.Console * work other allow target=dom0
        mgmt.Events * work @adminvm allow
        mgmt.Events * work other allow target=dom0
        mgmt.vm.feature.Get * work other allow target=dom0
        mgmt.vm.feature.Set +note work other allow target=dom0
        mgmt.vm.volume.ImportWithSize +private work big allow target=dom0
        * * work @anyvm deny notify=no

        """;

    private QemuDaemon _qemu = null!;
    private GuestConsole _guest = null!;

    private DaemonProcess Daemon => _qemu.Process;

    [OneTimeSetUp]
    public async Task Start()
    {
        _qemu = await QemuDaemon.StartAsync(new()
        {
            Backend = "qemu:///system", Config = """{ "machined": false, "request-deadline-s": 5 }""", Policy = new Dictionary<string, string> { ["10-guest.policy"] = Rules },
        });
        foreach (var name in new[] { "other", "third", "big" })
        {
            await _qemu.MakeVmAsync(name);
            // Nothing to boot: they are started, not waited for.
            await Daemon.OkAsync("mgmt.vm.property.Set", name, "kernel", "");
        }
        _guest = await GuestConsole.StartAsync(_qemu, "work");
    }

    [OneTimeTearDown]
    public async Task Stop()
    {
        if (_qemu is not null)
        {
            await _qemu.DisposeAsync();
        }
    }

    [Test]
    public async Task A_guest_lists_vms_as_the_socket_does()
    {
        var listed = await _guest.OkAsync("qrexec-client-vm dom0 mgmt.vm.List");
        Assert.That(listed, Is.EqualTo("0\0" + await Daemon.OkAsync("mgmt.vm.List")));
        var line = Daemon.Audit("mgmt.vm.List").Last(l => l.TryGetProperty("via", out _));
        Assert.That(line.GetProperty("source").GetString(), Is.EqualTo("work"));
        Assert.That(line.GetProperty("via").GetString(), Is.EqualTo("virtio-serial"));
        Assert.That(line.GetProperty("pid").GetInt32(), Is.EqualTo(_qemu.Pid("work")));
        Assert.That(line.GetProperty("rule").GetString(), Does.Contain("10-guest.policy"));
    }

    [Test]
    public async Task All_names_of_dom0_are_dom0()
    {
        foreach (var target in new[] { "dom0", "@adminvm", "'$adminvm'", "@default", "''" })
        {
            Assert.That(await _guest.OkAsync($"qrexec-client-vm {target} mgmt.vm.List"), Does.StartWith("0\0"), target);
        }
    }

    [Test]
    public async Task A_guest_starts_a_vm_that_it_may_start()
    {
        Assert.That(await _guest.OkAsync("qrexec-client-vm other mgmt.vm.Start"), Is.EqualTo("0\0"));
        Assert.That(await Daemon.StateAsync("other"), Is.EqualTo("Running"));
    }

    [TestCase("mgmt", " 30 00\n")]
    [TestCase("admin", "")]
    public async Task A_console_is_sent_while_it_is_made_and_given_back_when_its_caller_goes(string prefix, string bytes)
    {
        await Daemon.OkAsync("mgmt.vm.Start", "other");
        // Not those of the host, which is told that it is busy.
        int Lines() => Daemon.Audit($"{prefix}.vm.Console").Count(line => line.GetProperty("source").GetString() == "work");
        var began = Lines();
        // Nothing boots there, so nothing is printed.
        var open = $"sleep 30 | qrexec-client-vm other {prefix}.vm.Console >/tmp/console & echo $!";
        var pid = (await _guest.OkAsync(open)).Trim();
        await TestUntil.TrueAsync(() => Task.FromResult(Lines() > began));
        await Daemon.RefusedAsync(ErrorCode.MgmtBusyError, "mgmt.vm.Console", "other");
        Assert.That(await _guest.OkAsync($"kill {pid}; od -An -tx1 /tmp/console"), Is.EqualTo(bytes));
        await TestUntil.TrueAsync(() => Task.FromResult(Lines() > began + 1));
    }

    [Test]
    public async Task A_guest_is_refused_what_it_may_not_and_the_audit_log_says_why()
    {
        var refused = await _guest.RunAsync("qrexec-client-vm third mgmt.vm.Start");
        Assert.That((refused.Code, refused.Output, refused.Error), Is.EqualTo((126, "", "Request refused\n")));
        Assert.That(await Daemon.StateAsync("third"), Is.EqualTo("Halted"));
        var line = Daemon.Audit("mgmt.vm.Start").Last(l => l.GetProperty("target").GetString() == "third");
        Assert.That(line.GetProperty("source").GetString(), Is.EqualTo("work"));
        Assert.That(line.GetProperty("decision").GetString(), Is.EqualTo("deny"));
        Assert.That(line.GetProperty("reason").GetString(), Is.Not.Empty);
        Assert.That(line.GetProperty("rule").GetString(), Does.Contain("10-guest.policy"));
    }

    [Test]
    public async Task A_source_that_a_guest_claims_does_not_make_it_somebody_else()
    {
        foreach (var claimed in new[] { "dom0", "other" })
        {
            var refused = await _guest.RunAsync($"qrexec-client-vm --source-qube={claimed} dom0 mgmt.vm.List");
            Assert.That((refused.Code, refused.Output), Is.EqualTo((126, "")));
            var line = Daemon.Audit("mgmt.vm.List").Last(l => l.TryGetProperty("requested_source", out _));
            Assert.That(line.GetProperty("source").GetString(), Is.EqualTo("work"));
            Assert.That(line.GetProperty("requested_source").GetString(), Is.EqualTo(claimed));
        }
        Assert.That((await _guest.RunAsync("qrexec-client-vm --source-qube=work dom0 mgmt.vm.List")).Code, Is.Zero);
    }

    [TestCase("other qubes.Filecopy", 126)]
    [TestCase("dom0 qubes.Filecopy", 126)]
    [TestCase("dom0 mgmt..x", 0)]
    [TestCase("dom0 +x", 126)]
    [TestCase("dom0 mgmt.vm.List$(head -c 60000 /dev/zero | tr '\\0' x)", 126)]
    [TestCase("dom0", 2)]
    public async Task A_call_that_cannot_be_made_has_its_exit_code(string words, int code)
    {
        var outcome = await _guest.RunAsync("qrexec-client-vm " + words);
        Assert.That(outcome.Code, Is.EqualTo(code), outcome.Error);
        Assert.That(await _guest.OkAsync("qrexec-client-vm dom0 mgmt.vm.List"), Does.StartWith("0\0"));
    }

    [Test]
    public async Task A_payload_is_what_the_caller_writes_until_its_end()
    {
        Assert.That(await _guest.OkAsync("printf 'one two' | qrexec-client-vm other mgmt.vm.feature.Set+note"), Is.EqualTo("0\0"));
        Assert.That(await Daemon.OkAsync("mgmt.vm.feature.Get", "other", "note"), Is.EqualTo("one two"));
        // A local program: its output is the payload, its input the reply.
        Assert.That(await _guest.OkAsync("qrexec-client-vm other mgmt.vm.feature.Set+note /bin/sh -c 'printf three; exec >&-; cat >/tmp/reply'; od -An -tx1 /tmp/reply"), Is.EqualTo(" 30 00\n"));
        Assert.That(await Daemon.OkAsync("mgmt.vm.feature.Get", "other", "note"), Is.EqualTo("three"));
    }

    [Test]
    public async Task A_call_that_takes_nothing_needs_no_end_of_input()
    {
        Assert.That(await _guest.OkAsync("mkfifo /tmp/open; sleep 30 >/tmp/open & qrexec-client-vm dom0 mgmt.vm.List </tmp/open; code=$?; kill $!; exit $code"), Does.StartWith("0\0"));
    }

    [Test]
    public async Task Replies_with_an_error_are_replies()
    {
        var outcome = await _guest.RunAsync("qrexec-client-vm other mgmt.vm.feature.Get+nothing");
        Assert.That(outcome.Code, Is.Zero);
        Assert.That(outcome.Output, Does.StartWith("2\0QubesFeatureNotFoundError\0"));
    }

    [Test]
    public async Task Events_are_followed_until_the_follower_goes()
    {
        await _guest.OkAsync("""
            printf 'since=now\nsubject=other\n' | qrexec-client-vm dom0 mgmt.Events >/tmp/events &
            echo $! >/tmp/follower
            n=0; until grep -q connection-established /tmp/events; do n=$((n+1)); [ $n -lt 300 ] || exit 1; usleep 20000; done
            """);
        Assert.That(await InFlightAsync("mgmt.Events"), Is.EqualTo(1));
        await Daemon.OkAsync("mgmt.vm.feature.Set", "other", "seen", "yes");
        await _guest.OkAsync("n=0; until grep -q domain-feature-set:seen /tmp/events; do n=$((n+1)); [ $n -lt 300 ] || exit 1; usleep 20000; done");
        // SIGKILL: no last word. The daemon notices by what QEMU tells of the port.
        await _guest.OkAsync("kill -9 $(cat /tmp/follower)");
        await UntilAsync(async () => await InFlightAsync("mgmt.Events") == 0);
    }

    [Test]
    public async Task More_calls_than_ports_wait_for_their_turn()
    {
        var output = await _guest.OkAsync("""
            rm -f /tmp/many.*
            for i in 1 2 3 4 5 6 7 8 9 10 11 12; do (qrexec-client-vm dom0 mgmt.vm.List >/tmp/many.$i; echo $? >>/tmp/codes) & done
            wait
            cat /tmp/many.* | grep -c '^dom0 '
            """);
        Assert.That(output.Trim(), Is.EqualTo("12"));
    }

    [Test]
    public async Task An_image_is_imported_from_a_guest()
    {
        const int MiB = 200;
        var began = Environment.TickCount64;
        var outcome = await _guest.RunAsync($"{{ echo {MiB << 20}; dd if=/dev/zero bs=1M count={MiB} 2>/dev/null | tr '\\0' '\\327'; }} | qrexec-client-vm big mgmt.vm.volume.ImportWithSize+private");
        var took = Environment.TickCount64 - began;
        Assert.That((outcome.Code, outcome.Output), Is.EqualTo((0, "0\0")), outcome.Error);
        TestContext.Out.WriteLine($"{MiB} MiB in {took} ms");
        Assert.That(await Daemon.OkAsync("mgmt.vm.volume.Info", "big", "private"), Does.Contain($"size={MiB << 20}"));
    }

    [Test]
    public async Task A_caller_that_falls_silent_or_dies_in_an_import_changes_nothing()
    {
        var before = await Daemon.OkAsync("mgmt.vm.volume.Info", "big", "private");
        var silent = await _guest.OkAsync("mkfifo /tmp/silent; { echo 2097152; echo some; sleep 30; } >/tmp/silent & qrexec-client-vm big mgmt.vm.volume.ImportWithSize+private </tmp/silent; kill $!");
        Assert.That(silent, Does.StartWith("2\0MgmtTimeoutError\0"));
        await _guest.OkAsync("""
            mkfifo /tmp/dies; { echo 209715200; dd if=/dev/zero bs=1M count=5 2>/dev/null; echo sent >/tmp/sent; sleep 30; } >/tmp/dies &
            feeder=$!
            qrexec-client-vm big mgmt.vm.volume.ImportWithSize+private </tmp/dies >/dev/null 2>&1 &
            client=$!
            n=0; until [ -e /tmp/sent ]; do n=$((n+1)); [ $n -lt 500 ] || exit 1; usleep 20000; done
            kill -9 $client $feeder
            """);
        await UntilAsync(() => Task.FromResult(Daemon.Audit("mgmt.vm.volume.ImportWithSize").Any(line => line.GetProperty("outcome").GetString() == "MgmtCancelledError")));
        Assert.That(await InFlightAsync("ImportWithSize"), Is.Zero);
        Assert.That(await Daemon.OkAsync("mgmt.vm.volume.Info", "big", "private"), Is.EqualTo(before));
    }

    [Test]
    public async Task A_guest_that_floods_its_ports_harms_itself()
    {
        await _guest.OkAsync("for i in 2 3 4 5 6 7; do cat /dev/zero >/dev/virtio-ports/org.mgmt.qrexec.$i & echo $! >>/tmp/flood; done");
        for (var i = 0; i < 20; i++)
        {
            await Daemon.OkAsync("mgmt.vm.List");
        }
        Assert.That(await _guest.OkAsync("qrexec-client-vm dom0 mgmt.vm.List"), Does.StartWith("0\0"));
        await _guest.OkAsync("kill $(cat /tmp/flood)");
        // The ports that were flooded serve again.
        Assert.That(await _guest.OkAsync("for i in 1 2 3 4 5 6 7 8; do qrexec-client-vm dom0 mgmt.vm.List >/tmp/after.$i & done; wait; cat /tmp/after.* | grep -c '^dom0 '"), Is.EqualTo("8\n"));
    }

    [Test]
    public async Task A_daemon_that_stops_ends_its_streams_with_a_word()
    {
        await _guest.OkAsync("""
            rm -f /tmp/stopped; : >/tmp/word
            (printf 'since=now\n' | qrexec-client-vm dom0 mgmt.Events >/tmp/word; echo $? >/tmp/stopped) &
            n=0; until grep -q connection-established /tmp/word; do n=$((n+1)); [ $n -lt 300 ] || exit 1; usleep 20000; done
            """);
        await Daemon.RestartAsync();
        Assert.That(await _guest.OkAsync("n=0; until [ -s /tmp/stopped ]; do n=$((n+1)); [ $n -lt 300 ] || exit 1; usleep 20000; done; cat /tmp/stopped; tr '\\0' ' ' </tmp/word | grep -o 'stream-closed reason shutdown'"),
            Is.EqualTo("0\nstream-closed reason shutdown\n"));
    }

    [Test]
    public async Task A_daemon_that_is_killed_ends_the_calls_and_the_next_one_serves_again()
    {
        await _guest.OkAsync("""
            rm -f /tmp/lost; : >/tmp/long
            (printf 'since=now\n' | qrexec-client-vm dom0 mgmt.Events >/tmp/long 2>/tmp/lost.err; echo $? >/tmp/lost) &
            n=0; until grep -q connection-established /tmp/long; do n=$((n+1)); [ $n -lt 300 ] || exit 1; usleep 20000; done
            """);
        await Daemon.KillHardAsync();
        await Daemon.StartAgainAsync();
        Assert.That(await _guest.OkAsync("n=0; until [ -s /tmp/lost ]; do n=$((n+1)); [ $n -lt 300 ] || exit 1; usleep 20000; done; cat /tmp/lost /tmp/lost.err"),
            Is.EqualTo("255\nqrexec-client-vm: the connection to the host was lost\n"));
        Assert.That(await _guest.OkAsync("qrexec-client-vm dom0 mgmt.vm.List"), Does.StartWith("0\0"));
    }

    /// <summary>The agent is scripted: its sockets, and the bytes on them, are those of one linked with libvchan-socket.</summary>
    [Test]
    public async Task An_agent_of_qubes_calls_through_the_bridge()
    {
        await _guest.OkAsync("mkdir -p /tmp/vchan; mgmt-vchan-bridge 7 /tmp/vchan </dev/null >/tmp/bridge.log 2>&1 &");
        Assert.That(await _guest.OkAsync("vchan-agent /tmp/vchan 7 dom0 mgmt.vm.List"), Is.EqualTo("0\0" + await Daemon.OkAsync("mgmt.vm.List")));
        // The agent is another one now, and the files of the first are still there.
        Assert.That(await _guest.OkAsync("printf bridged | vchan-agent /tmp/vchan 7 other mgmt.vm.feature.Set+note"), Is.EqualTo("0\0"));
        Assert.That(await Daemon.OkAsync("mgmt.vm.feature.Get", "other", "note"), Is.EqualTo("bridged"));
        Assert.That((await _guest.RunAsync("vchan-agent /tmp/vchan 7 third mgmt.vm.Start")).Code, Is.EqualTo(126));
        Assert.That((await _guest.RunAsync("vchan-agent /tmp/vchan 7 other qubes.Filecopy")).Code, Is.EqualTo(126));
    }

    private async Task<int> InFlightAsync(string method) =>
        (await Daemon.OkAsync("mgmt.call.List")).Split('\n').Count(line => line.Contains(method, StringComparison.Ordinal) && line.Contains("work", StringComparison.Ordinal));

    private static async Task UntilAsync(Func<Task<bool>> isSo)
    {
        for (var until = Environment.TickCount64 + (long)DaemonProcess.Deadline.TotalMilliseconds; !await isSo();)
        {
            Assert.That(Environment.TickCount64, Is.LessThan(until), "it did not come to be");
        }
    }
}
