using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>Two real guests: one calls a service in the other.</summary>
public sealed class QemuVmToVmTests
{
    private const string Rules = GuestConsole.Policy + """
        test.Absent * work late allow user=root
        test.Run * work keeper allow user=root
        test.Bridged * keeper work allow user=alice
        test.Default * keeper work allow
        test.Once * work @dispvm allow user=root
        test.Redirected * work @default allow target=keeper user=root
        * * work @anyvm deny notify=no

        """;

    private QemuDaemon _qemu = null!;
    private GuestConsole _guest = null!;
    private GuestConsole _keeper = null!;

    [OneTimeSetUp]
    public async Task Start()
    {
        _qemu = await QemuDaemon.StartAsync(new()
        {
            Backend = "qemu:///system", Config = """{ "machined": false }""", Policy = new Dictionary<string, string> { ["10-guest.policy"] = Rules },
        });
        _guest = await GuestConsole.StartAsync(_qemu, "work");
        _keeper = await GuestConsole.StartAsync(_qemu, "keeper");
        await _keeper.OkAsync("mkdir -p /run/qubes-rpc; cd /run/qubes-rpc; printf '#!/bin/sh\\nexec cat\\n' >test.Run; chmod 755 test.Run; ln -s test.Run test.Redirected");
        await _qemu.MakeVmAsync("late");
        await _qemu.Process.OkAsync("mgmt.vm.property.Set", "late", "template_for_dispvms", "True");
        await _qemu.Process.OkAsync("mgmt.vm.property.Set", "work", "default_dispvm", "late");
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
    public async Task A_file_goes_to_another_vm_and_comes_back_where_the_policy_lets_it()
    {
        await _guest.OkAsync("head -c 300000 /dev/urandom >/tmp/sent; qrexec-client-vm keeper test.Run </tmp/sent >/tmp/back && cmp /tmp/sent /tmp/back");
        await _guest.OkAsync("qrexec-client-vm @default test.Redirected </tmp/sent >/tmp/back && cmp /tmp/sent /tmp/back");
        Assert.That((await _guest.RunAsync("qrexec-client-vm keeper test.Denied </dev/null")).Code, Is.EqualTo(126));
        Assert.That(_qemu.Process.Audit("test.Run").Select(line => line.GetProperty("outcome").GetString()), Is.EqualTo(new[] { "stream", "exit 0" }));
    }

    [Test]
    public async Task A_target_is_started_for_a_call()
    {
        Assert.That((await _guest.RunAsync("qrexec-client-vm late test.Absent </dev/null")).Code, Is.EqualTo(127));
        Assert.That(await _qemu.Process.StateAsync("late"), Is.EqualTo("Running"));
    }

    /// <summary>The agent is scripted: its sockets, and the bytes on them, are those of one linked with libvchan-socket.</summary>
    [Test]
    public async Task An_agent_of_qubes_is_called_through_the_bridge()
    {
        await _guest.OkAsync("""
            touch /run/no-mgmt-agent; killall mgmt-agent; mkdir -p /tmp/vchan
            mgmt-vchan-bridge 0 /tmp/vchan </dev/null >/tmp/bridge.log 2>&1 &
            vchan-agent /tmp/vchan 0 </dev/null >/tmp/agent.log 2>&1 &
            """);
        var called = await _keeper.RunAsync("printf in | qrexec-client-vm work test.Bridged+an-arg");
        Assert.That((called.Code, called.Output, called.Error), Is.EqualTo((5, "alice:QUBESRPC test.Bridged+an-arg keeper\nin", "oops\n")), await _guest.OkAsync("cat /tmp/bridge.log /tmp/agent.log"));
        await _keeper.OkAsync("head -c 300000 /dev/urandom >/tmp/much; qrexec-client-vm work test.Default </tmp/much >/tmp/back; (echo user:QUBESRPC test.Default+ keeper; cat /tmp/much) | cmp - /tmp/back");
        // A caller that goes takes its command along.
        await _keeper.OkAsync("mkfifo /tmp/open; sleep 100 >/tmp/open & qrexec-client-vm work test.Bridged </tmp/open >/tmp/begun & n=0; until [ -s /tmp/begun ]; do n=$((n+1)); [ $n -lt 500 ] || exit 1; usleep 20000; done; kill $!");
        Assert.That((await _keeper.RunAsync("qrexec-client-vm work test.Bridged </dev/null")).Code, Is.EqualTo(5));
        // Another agent finds the bridge where the first one left it.
        await _guest.OkAsync("killall vchan-agent; vchan-agent /tmp/vchan 0 </dev/null >/tmp/agent.log 2>&1 &");
        Assert.That((await _keeper.RunAsync("qrexec-client-vm work test.Bridged </dev/null")).Code, Is.EqualTo(5));
        // What no agent could read is not passed on.
        Assert.That((await _keeper.RunAsync("qrexec-client-vm work test.Bridged+$(head -c 5000 /dev/zero | tr '\\0' x) </dev/null")).Code, Is.EqualTo(125));
        Assert.That((await _keeper.RunAsync("qrexec-client-vm work test.Bridged </dev/null")).Code, Is.EqualTo(5));
    }

    [Test]
    public async Task A_disposable_is_made_for_a_call_and_gone_after_it()
    {
        await using var events = await _qemu.Process.EventsAsync("since=now\nevent=domain-add\nevent=domain-delete\nevent=domain-start");
        // The service is not in the template: the disposable was started and asked.
        Assert.That((await _guest.RunAsync("qrexec-client-vm @dispvm test.Once </dev/null")).Code, Is.EqualTo(127));
        var seen = await QemuDaemon.UntilAsync(events, e => e.Name == "domain-delete");
        Assert.That(seen.Select(e => e.Name), Is.EqualTo(new[] { "domain-add", "domain-start", "domain-delete" }));
        Assert.That(await _qemu.Process.OkAsync("mgmt.vm.List"), Does.Not.Contain("class=DispVM"));
    }
}
