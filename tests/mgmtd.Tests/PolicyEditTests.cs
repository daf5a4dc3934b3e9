using System.Net.Sockets;
using System.Text;
using Mgmt.Core;
using Mgmt.Testing;
using Mgmt.Wire;

namespace Mgmt.Daemon.Tests;

/// <summary>The rule files edited over the socket.</summary>
public sealed class PolicyEditTests : DaemonFixture
{
    protected override DaemonOptions Options => new()
    {
        Policy = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["20-editors.policy"] = "mgmt.policy.Replace +30-work work dom0 allow\nmgmt.policy.Get * work dom0 allow\nmgmt.Events * work dom0 allow\n",
        },
    };

    [Test]
    public async Task A_vm_with_a_grant_edits_its_file_and_its_next_call_is_decided_by_it()
    {
        await using var events = await Daemon.EventsAsync("event=policy-loaded", source: "work");
        await Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.vm.CurrentState", "vault", source: "work");

        Assert.That(await Daemon.OkAsync("mgmt.policy.Replace", "dom0", "30-work", "new\nmgmt.vm.CurrentState * work vault allow\n", "work"), Is.Empty);

        await Daemon.OkAsync("mgmt.vm.CurrentState", "vault", source: "work");
        Assert.That((await events.NextAsync("policy-*")).Name, Is.EqualTo("policy-loaded"));
        var token = (await Daemon.OkAsync("mgmt.policy.Get", "dom0", "30-work", source: "work")).Split('\n')[0];
        await Daemon.OkAsync("mgmt.policy.Replace", "dom0", "30-work", token + "\n# nothing\n", "work");
        await Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.vm.CurrentState", "vault", source: "work");
        await Daemon.RefusedAsync(ErrorCode.QubesException, "mgmt.policy.Replace", "dom0", "30-work", token + "\n# lost\n", "work");
    }

    [Test]
    public async Task A_vm_without_a_grant_edits_and_learns_nothing()
    {
        await Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.policy.Replace", "dom0", "31-other", "new\n* * * * allow\n", "work");
        await Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.policy.Replace", "dom0", "Foo", "junk", "vault");
        await Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.policy.List", source: "work");
        await Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.policy.Get", "dom0", "20-editors", source: "vault");
    }

    [Test]
    public async Task A_file_broken_by_hand_is_mended_by_a_call()
    {
        Assert.That((await Daemon.WritePolicyAsync("32-hand.policy", "junk\n")).Name, Is.EqualTo("policy-degraded"));
        await using var events = await Daemon.EventsAsync("event=policy-loaded");

        Assert.That(await Daemon.OkAsync("mgmt.policy.Replace", "dom0", "32-hand", "any\n# mended\n"), Is.Empty);

        Assert.That((await events.NextAsync("policy-*")).Name, Is.EqualTo("policy-loaded"));
        Assert.That(await Daemon.OkAsync("mgmt.Status"), Does.Contain("\"state\": \"ok\""));
    }

    [Test]
    public async Task A_role_is_granted_by_editing_its_include_and_old_versions_outlive_the_daemon()
    {
        var file = await Daemon.OkAsync("mgmt.policy.include.Get", "dom0", "mgmt-host-ro");
        await Daemon.OkAsync("mgmt.policy.include.Replace", "dom0", "mgmt-host-ro", file + "vault @adminvm allow\n");
        Assert.That(await Daemon.OkAsync("mgmt.policy.List", source: "vault"), Does.Contain("20-editors\n").And.Contain("90-mgmt-default\n"));
        await Daemon.RestartAsync();

        var kept = (await Daemon.OkAsync("mgmt.policy.include.History", "dom0", "mgmt-host-ro")).Split('\n')[0].Split(' ');
        Assert.That(kept[3], Is.EqualTo(file.Split('\n')[0]));
        await Daemon.OkAsync("mgmt.policy.include.Revert", "dom0", "mgmt-host-ro", kept[0]);
        Assert.That(await Daemon.OkAsync("mgmt.policy.include.Get", "dom0", "mgmt-host-ro"), Is.EqualTo(file));
        await Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.policy.List", source: "vault");
    }

    [Test]
    public async Task Bytes_that_are_no_text_are_refused_and_a_mebibyte_is_not()
    {
        var reply = ReplyParser.Parse(await Daemon.SendRawAsync("mgmt.policy.Replace+33-raw dom0 name dom0\0any\n# \xff\n"));
        Assert.That(((Reply.Failure)reply).Message, Does.Contain("33-raw.policy:1: ").And.Contain("UTF-8"));

        var line = "# " + new string('x', 1021) + "\n";
        var text = new StringBuilder("any\n").Insert(4, line, 1000).ToString();
        await Daemon.OkAsync("mgmt.policy.Replace", "dom0", "33-large", text);
        await Daemon.RefusedAsync(ErrorCode.ProtocolError, "mgmt.policy.Replace", "dom0", "33-large", text + new string('#', 100_000));
        Assert.That((await Daemon.OkAsync("mgmt.policy.Get", "dom0", "33-large")).Length, Is.EqualTo(72 + 1000 * line.Length));
    }

    [Test]
    public async Task A_kill_in_the_middle_of_changes_leaves_the_last_whole_version_and_its_history()
    {
        await using var daemon = await DaemonProcess.StartAsync();
        var done = -1;
        var enough = new TaskCompletionSource();
        var writing = Task.Run(WriteAsync);
        await enough.Task.WaitAsync(TimeSpan.FromSeconds(20));
        await daemon.KillHardAsync();
        await writing;
        await daemon.StartAgainAsync();

        var content = (await daemon.OkAsync("mgmt.policy.Get", "dom0", "30-kill"))[72..];
        Assert.That(content, Is.EqualTo(Version(done)).Or.EqualTo(Version(done + 1)));
        Assert.That(await daemon.OkAsync("mgmt.Status"), Does.Contain("\"state\": \"ok\""));
        var kept = (await daemon.OkAsync("mgmt.policy.History", "dom0", "30-kill")).Split('\n')[0].Split(' ')[0];
        await daemon.OkAsync("mgmt.policy.Revert", "dom0", "30-kill", kept);

        static string Version(int i) => string.Concat(Enumerable.Repeat($"# version {i}\n", 5000));

        async Task WriteAsync()
        {
            try
            {
                while (true)
                {
                    await daemon.OkAsync("mgmt.policy.Replace", "dom0", "30-kill", "any\n" + Version(done + 1));
                    if (++done == 30)
                    {
                        enough.SetResult();
                    }
                }
            }
            catch (Exception error) when (error is SocketException or MgmtException)
            {
                // It was killed.
            }
        }
    }
}
