using System.Collections.Concurrent;
using System.Globalization;
using Mgmt.Core;
using Mgmt.Testing;
using Mgmt.Wire;

namespace Mgmt.Daemon.Tests;

/// <summary>What survives a daemon that stops, is killed or is started twice.</summary>
public sealed class RestartTests
{
    private const string Autostart = """
        { "pools": { "default": { "driver": "qcow2" }, "linux-kernel": { "driver": "linux-kernel", "config": { "kernels": "6.1" } } },
          "vms": {
            "broken": { "class": "StandaloneVM", "state": "Running", "properties": { "label": "red" }, "behaviour": { "faults": { "launch": "fails: broken" } } },
            "first": { "class": "StandaloneVM", "state": "Running", "properties": { "label": "red" } },
            "net": { "class": "StandaloneVM", "properties": { "label": "red", "provides_network": "True" } },
            "auto": { "class": "StandaloneVM", "properties": { "label": "red", "netvm": "net", "autostart": "True" } } } }
        """;

    [Test]
    public async Task Every_acknowledged_change_and_its_events_survive_kill_9()
    {
        await using var daemon = await DaemonProcess.StartAsync();
        var begin = await daemon.CursorAsync();
        var acknowledged = new ConcurrentDictionary<int, bool>();
        var enough = new TaskCompletionSource();
        var writers = Enumerable.Range(0, 16).Select(async writer =>
        {
            for (var i = writer; i < 1000; i += 16)
            {
                try
                {
                    if (await daemon.CallAsync("mgmt.vm.feature.Set", "work", $"f{i}", i.ToString(CultureInfo.InvariantCulture)) is not Reply.Ok)
                    {
                        return;
                    }
                }
                catch (Exception error) when (error is IOException or System.Net.Sockets.SocketException or MgmtException)
                {
                    return;
                }
                acknowledged[i] = true;
                if (acknowledged.Count >= 500)
                {
                    enough.TrySetResult();
                }
            }
        }).ToArray();
        await enough.Task.WaitAsync(DaemonProcess.Deadline);
        await daemon.KillHardAsync();
        await Task.WhenAll(writers);
        await daemon.StartAgainAsync();

        var features = (await daemon.OkAsync("mgmt.vm.feature.List", "work")).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(acknowledged.Keys.Select(i => $"f{i}"), Is.SubsetOf(features));
        await daemon.OkAsync("mgmt.vm.feature.Set", "work", "last", "1");
        await using var events = await daemon.EventsAsync($"since={begin}\nsubject=work\nevent=domain-feature-set:*");
        var told = (await events.NamesUntilAsync("domain-feature-set:last")).SkipLast(1).Select(n => n["domain-feature-set:".Length..]).ToList();
        Assert.That(told, Is.EquivalentTo(features), "what happened is in the journal and the other way round");
    }

    [Test]
    public async Task A_reader_that_resumes_again_and_again_misses_and_repeats_nothing_over_kills()
    {
        await using var daemon = await DaemonProcess.StartAsync();
        var cursor = await daemon.CursorAsync();
        var acknowledged = new ConcurrentQueue<string>();
        var writing = Task.Run(async () =>
        {
            for (var i = 0; i < 1000; i++)
            {
                // A change that was not acknowledged may have happened: a new value each time tells them apart.
                for (var attempt = 0; !await TrySetAsync($"{i}.{attempt}"); attempt++)
                {
                    await Task.Delay(5);
                }
            }
            while (!await TrySetAsync("end"))
            {
                await Task.Delay(5);
            }
        });
        var killing = Task.Run(async () =>
        {
            for (var kill = 1; kill <= 2; kill++)
            {
                while (acknowledged.Count < kill * 300)
                {
                    await Task.Delay(5);
                }
                await daemon.KillHardAsync();
                await daemon.StartAgainAsync();
            }
        });
        var seen = new List<string>();
        while (seen.LastOrDefault() != "end")
        {
            try
            {
                await using var events = await daemon.EventsAsync($"since={cursor}\nsubject=vault\nevent=domain-feature-set:n");
                for (var i = 0; i < 37 && seen.LastOrDefault() != "end" && await events.ReadAsync() is { } happened; i++)
                {
                    cursor = happened["cursor"]!;
                    if (happened.Name == "domain-feature-set:n")
                    {
                        seen.Add(happened["value"]!);
                    }
                    Assert.That(happened.Name, Is.Not.EqualTo("gone"));
                }
            }
            catch (Exception error) when (error is IOException or System.Net.Sockets.SocketException)
            {
                await Task.Delay(5);
            }
        }
        await Task.WhenAll(writing, killing);
        Assert.That(seen, Is.Unique);
        Assert.That(acknowledged, Is.SubsetOf(seen));
        Assert.That(seen.Where(acknowledged.Contains), Is.EqualTo(acknowledged));

        async Task<bool> TrySetAsync(string value)
        {
            try
            {
                if (await daemon.CallAsync("mgmt.vm.feature.Set", "vault", "n", value) is Reply.Ok)
                {
                    acknowledged.Enqueue(value);
                    return true;
                }
            }
            catch (Exception error) when (error is IOException or System.Net.Sockets.SocketException or MgmtException)
            {
                // It was killed.
            }
            return false;
        }
    }

    [Test]
    public async Task A_stop_tells_subscribers_why_and_waiting_calls_that_they_end()
    {
        await using var daemon = await DaemonProcess.StartAsync();
        await using var mgmt = await daemon.EventsAsync("");
        await using var cursors = await daemon.EventsAsync("since=now");
        await using var admin = await daemon.EventsAsync(method: "admin.Events");
        Assert.That(await daemon.StopAsync(), Is.Zero);
        Assert.That((await mgmt.ToEndAsync()).Select(e => e.Name + " " + e["reason"]), Is.EqualTo(new[] { "stream-closed shutdown" }));
        Assert.That((await cursors.ToEndAsync())[^1].Pairs[^1].Key, Is.EqualTo("cursor"));
        Assert.That(await admin.ToEndAsync(), Is.Empty);
    }

    [Test]
    public async Task Vms_start_with_the_daemon_the_netvm_first_and_one_that_fails_stops_no_other()
    {
        await using var daemon = await DaemonProcess.StartAsync(new DaemonOptions { Host = Autostart });
        var epoch = (await daemon.CursorAsync()).Split('.')[0];
        await using var events = await daemon.EventsAsync($"since={epoch}.0\nevent=domain-start*");
        var seen = await events.UntilAsync(e => e.Subject == "auto");
        Assert.That(seen.Select(e => $"{e.Subject} {e.Name}"), Is.EqualTo(new[] { "broken domain-start-failed", "first domain-start", "net domain-start", "auto domain-start" }));
    }

    [Test]
    public async Task A_vm_whose_end_nobody_saw_is_told_to_have_shut_down_unseen()
    {
        await using var daemon = await DaemonProcess.StartAsync();
        await daemon.OkAsync("mgmt.vm.Start", "vault");
        var cursor = await daemon.CursorAsync();
        await daemon.KillHardAsync();
        await daemon.StartAgainAsync();
        await using var events = await daemon.EventsAsync($"since={cursor}\nsubject=vault\nevent=domain-shutdown");
        Assert.That((await events.NextAsync("domain-shutdown"))["reason"], Is.EqualTo("unseen"));
        Assert.That(await daemon.StateAsync("vault"), Is.EqualTo("Halted"));
    }

    [Test]
    public async Task Everything_configured_is_the_same_after_a_restart()
    {
        await using var daemon = await DaemonProcess.StartAsync();
        await daemon.OkAsync("mgmt.vm.Create.AppVM", "dom0", "debian", "name=kept label=green");
        await daemon.OkAsync("mgmt.vm.property.Set", "kept", "memory", "777");
        await daemon.OkAsync("mgmt.label.Create", "dom0", "pink", "0xff00ff");
        await daemon.OkAsync("mgmt.property.Set", "dom0", "clockvm", "sys-net");
        var before = await daemon.ExportAsync();
        await daemon.RestartAsync();
        Assert.That(await daemon.ExportAsync(), Is.EqualTo(before));
    }

    [Test]
    public async Task A_state_directory_in_use_is_refused_with_a_sentence()
    {
        await using var daemon = await DaemonProcess.StartAsync();
        var (code, output) = await DaemonProcess.RunAsync(new DaemonOptions { StateDirectory = daemon.StateDirectory });
        Assert.That(code, Is.EqualTo(1));
        Assert.That(output.Trim().Split('\n')[^1], Does.StartWith("mgmtd: ").And.Contain($"in use by another mgmtd (pid {daemon.Pid})"));
        await daemon.OkAsync("mgmt.Info");
    }

    [Test]
    public async Task A_run_directory_in_use_is_refused_with_a_sentence()
    {
        await using var daemon = await DaemonProcess.StartAsync();
        var (code, output) = await DaemonProcess.RunAsync(new DaemonOptions { RunDirectory = daemon.RunDirectory });
        Assert.That(code, Is.EqualTo(1));
        Assert.That(output.Trim().Split('\n')[^1], Does.StartWith("mgmtd: another mgmtd serves "));
        await daemon.OkAsync("mgmt.Info");
    }

    [Test]
    public async Task A_state_that_a_newer_mgmtd_wrote_is_refused_with_a_sentence()
    {
        await using var daemon = await DaemonProcess.StartAsync();
        await daemon.StopAsync();
        await using (var file = File.OpenWrite(Path.Combine(daemon.StateDirectory, "state.db")))
        {
            // PRAGMA user_version: four bytes, big endian. SOURCE: the SQLite database file format.
            file.Position = 60;
            await file.WriteAsync(new byte[] { 0, 0, 0, 99 });
        }
        var (code, output) = await DaemonProcess.RunAsync(new DaemonOptions { StateDirectory = daemon.StateDirectory });
        Assert.That(code, Is.EqualTo(1), output);
        Assert.That(output, Does.Contain("mgmtd: ").And.Contain("was written by a newer mgmtd (schema 99"));
    }

    [Test]
    public async Task A_start_that_a_kill_cut_off_has_failed_and_is_told_once()
    {
        await using var daemon = await DaemonProcess.StartAsync(new DaemonOptions
        {
            Host = """{ "vms": { "slow": { "class": "StandaloneVM", "properties": { "label": "red" }, "behaviour": { "delays": { "launch": 60000 } } } } }""",
        });
        var begin = await daemon.CursorAsync();
        await using (var events = await daemon.EventsAsync("subject=slow"))
        {
            using var socket = await daemon.ConnectAsync();
            await socket.SendAsync("mgmt.vm.Start+ dom0 name slow\0"u8.ToArray(), System.Net.Sockets.SocketFlags.None);
            socket.Shutdown(System.Net.Sockets.SocketShutdown.Send);
            await events.NextAsync("domain-pre-spawn");
        }
        await daemon.KillHardAsync();
        await daemon.StartAgainAsync();
        await using var told = await daemon.EventsAsync($"since={begin}\nsubject=slow");
        Assert.That(await told.NamesUntilAsync("domain-start-failed"), Is.EqualTo(new[] { "domain-pre-start", "domain-pre-spawn", "domain-start-failed" }));
        Assert.That(told.Seen[^1]["reason"], Is.EqualTo("the daemon ended during the start"));
        Assert.That(await daemon.StateAsync("slow"), Is.EqualTo("Halted"));

        var cursor = await daemon.CursorAsync();
        await daemon.RestartAsync();
        await daemon.OkAsync("mgmt.vm.tag.Set", "slow", "last");
        await using var again = await daemon.EventsAsync($"since={cursor}\nsubject=slow\nevent=domain-*");
        Assert.That(await again.NamesUntilAsync("domain-tag-add:last"), Is.EqualTo(new[] { "domain-tag-add:last" }));
    }

    [Test]
    public async Task A_request_that_is_cut_off_by_the_daemons_stop_gets_an_answer()
    {
        await using var daemon = await DaemonProcess.StartAsync();
        var cut = daemon.SendRawAsync("mgmt.vm.List dom0 name dom0\0"u8.ToArray(), halfClose: false);
        await daemon.OkAsync("mgmt.Info");
        Assert.That(await daemon.StopAsync(), Is.Zero);
        var failure = (Reply.Failure)ReplyParser.Parse(await cut);
        Assert.That(failure.Type, Is.EqualTo("MgmtCancelledError"), failure.Message);
    }

    [Test]
    public async Task A_broken_policy_leaves_only_dom0_in_where_the_configuration_says_deny()
    {
        await using var daemon = await DaemonProcess.StartAsync(new DaemonOptions
        {
            Config = """{ "broken-policy": "deny" }""",
            Policy = new Dictionary<string, string>(StringComparer.Ordinal) { ["20-test.policy"] = "mgmt.vm.tag.List * vault vault allow\n" },
        });
        await daemon.OkAsync("mgmt.vm.tag.List", "vault", source: "vault");
        await daemon.WritePolicyAsync("21-broken.policy", "nonsense\n");
        await daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.vm.tag.List", "vault", source: "vault");
        await daemon.OkAsync("mgmt.vm.tag.List", "vault");
    }

    [TestCase("""{ "no-such-setting": 1 }""", "unknown setting no-such-setting")]
    [TestCase("""{ "max-connections": 1 }""", "max-connections has to be a number from 16 to 65536")]
    [TestCase("""{ "front-end-uids": [4294967296] }""", "front-end-uids")]
    [TestCase("[]", "expected one JSON object")]
    [TestCase("{", "mgmtd.conf: ")]
    public async Task A_wrong_configuration_is_a_usage_error_with_a_sentence(string config, string expected)
    {
        var (code, output) = await DaemonProcess.RunAsync(new DaemonOptions { Config = config });
        Assert.That(code, Is.EqualTo(2), output);
        Assert.That(output, Does.StartWith("mgmtd: ").And.Contain(expected));
    }

    [Test]
    public async Task A_host_document_with_a_mistake_is_refused_with_its_path()
    {
        var (code, output) = await DaemonProcess.RunAsync(new DaemonOptions { Host = """{ "vms": { "x": { "class": "AppVM", "color": "red" } } }""" });
        Assert.That(code, Is.EqualTo(1), output);
        Assert.That(output, Does.Contain("mgmtd: ").And.Contain("$.vms.x.color"));
    }

    [Test]
    public async Task A_document_with_a_value_that_no_property_takes_is_refused()
    {
        var (code, output) = await DaemonProcess.RunAsync(new DaemonOptions { Host = """{ "vms": { "x": { "class": "TemplateVM", "properties": { "label": "red", "memory": "abc" } } } }""" });
        Assert.That(code, Is.EqualTo(1));
        Assert.That(output, Does.Contain("Property memory of x in the host document"));
    }
}
