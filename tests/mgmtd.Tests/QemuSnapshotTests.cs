using System.Diagnostics;
using System.Text;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>Snapshots of a running guest, and daemons that are killed while they take one. The VM is the template: it keeps its root.</summary>
[NonParallelizable]
internal sealed class QemuSnapshotTests
{
    private QemuDaemon _qemu = null!;

    private DaemonProcess Daemon => _qemu.Process;

    private string Pools => Path.Combine(Daemon.StateDirectory, "pools", "default");

    private string RunOfBase => Directory.GetDirectories(Path.Combine(Daemon.RunDirectory, "vm"), "*-base").Single();

    [SetUp]
    public async Task Start()
    {
        // Slow, so that a copy of the 64 MiB is under way for as long as a test takes.
        _qemu = await QemuDaemon.StartAsync(new()
        {
            Backend = "qemu:///system",
            Config = $$"""{ "machined": false, "snapshot-mib-per-second": {{(TestContext.CurrentContext.Test.MethodName!.Contains("copy", StringComparison.Ordinal) ? 1 : 0)}} }""",
        });
        await Daemon.OkAsync("mgmt.vm.property.Set", "base", "memory", "160");
        await _qemu.ReadyAsync("base");
    }

    [TearDown]
    public async Task Stop()
    {
        if (_qemu is not null)
        {
            await _qemu.DisposeAsync();
        }
    }

    [Test]
    public async Task A_quiesced_snapshot_needs_no_repair_and_is_told()
    {
        await using var events = await Daemon.EventsAsync("since=now\nsubject=base\nevent=volume-snapshot");
        var id = await Daemon.OkAsync("mgmt.vm.volume.Snapshot", "base", "root", "quiesce=yes\n");
        var told = (await QemuDaemon.UntilAsync(events, e => e.Name == "volume-snapshot"))[^1];
        Assert.That((told["volume"], told["revision"], told["quiesced"]), Is.EqualTo(("root", id, "yes")));
        var raw = Path.Combine(Daemon.StateDirectory, "read-back");
        GuestFiles.Run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", Revisions().Single(), raw);
        var (code, said) = await CheckAsync(raw);
        Assert.That(code, Is.Zero, said);
        Assert.That(said, Does.Not.Contain("journal").IgnoreCase);
        Assert.That(Unfinished(), Is.Empty);
        await AssertNothingInQemuAsync();
        // The guest is thawed: a frozen one does not answer this.
        await Daemon.OkAsync("mgmt.vm.agent.OsInfo", "base");
    }

    [Test]
    public async Task A_guest_left_frozen_by_a_daemon_that_was_killed_is_thawed_by_the_next_one()
    {
        for (var tries = 1; !await KillDaemonWhileFrozenAsync(); tries++)
        {
            // The guest was thawed before QEMU could be stopped.
            Assert.That(tries, Is.LessThan(5));
            await StartAgainAsync();
        }
        await StartAgainAsync();
        // Neither the guest's agent nor the mark is in the way of the next one.
        await UntilAsync(async () => (await Daemon.CallRawAsync("mgmt.vm.volume.Snapshot", "base", "root", "quiesce=yes\n"))[0] == (byte)'0');
        await Daemon.OkAsync("mgmt.vm.agent.OsInfo", "base");
        Assert.That(Unfinished(), Is.Empty);
        await Daemon.KillHardAsync();
        await UntilAsync(async () => await RawMonitor.FreezeStatusAsync(RunOfBase) == "thawed");
    }

    [Test]
    public async Task A_copy_that_the_end_of_the_daemon_cut_off_leaves_nothing()
    {
        var taking = Daemon.CallRawAsync("mgmt.vm.volume.Snapshot", "base", "root", "quiesce=no\n");
        await UntilAsync(async () => (await RawMonitor.QemuAsync(RunOfBase, "query-jobs")).Contains("mgmt-copy-root", StringComparison.Ordinal));
        Assert.That(Unfinished(), Is.Not.Empty);
        await Daemon.KillHardAsync();
        await Cut(taking);
        await Daemon.StartAgainAsync();
        await UntilAsync(async () => await Daemon.StateAsync("base") == "Running");
        await AssertNothingInQemuAsync();
        Assert.That(Unfinished(), Is.Empty);
        Assert.That(Revisions(), Is.Empty);
        // And the guest runs on, on its own disk.
        await using var events = await Daemon.EventsAsync("since=now\nsubject=base\nevent=agent-state");
        await _qemu.AgentAsync("base", events, "ready");
        await Daemon.OkAsync("mgmt.vm.agent.OsInfo", "base");
    }

    [Test]
    public async Task A_kill_ends_the_vm_and_with_it_the_copy()
    {
        var taking = Daemon.CallRawAsync("mgmt.vm.volume.Snapshot", "base", "root", "quiesce=no\n");
        await UntilAsync(async () => (await RawMonitor.QemuAsync(RunOfBase, "query-jobs")).Contains("mgmt-copy-root", StringComparison.Ordinal));
        await Daemon.OkAsync("mgmt.vm.Kill", "base");
        Assert.That(Encoding.Latin1.GetString(await taking), Does.Contain(nameof(ErrorCode.MgmtUnavailableError)));
        Assert.That(await Daemon.StateAsync("base"), Is.EqualTo("Halted"));
        Assert.That(Unfinished(), Is.Empty);
        Assert.That(Revisions(), Is.Empty);
    }

    /// <summary>
    /// QEMU is stopped when the target of the copy is there: the next thing is the freeze. The daemon has written its mark and sent the command when QEMU
    /// goes on, and is stopped itself, so that it never sees the answer.
    /// </summary>
    private async Task<bool> KillDaemonWhileFrozenAsync()
    {
        // The last of what the daemon asks by itself: from then on the agent has nothing else to do.
        await UntilAsync(async () => (await Daemon.OkAsync("mgmt.vm.GuestFacts", "base")).Contains("timezone", StringComparison.Ordinal));
        var pid = _qemu.Pid("base");
        var taking = Daemon.CallRawAsync("mgmt.vm.volume.Snapshot", "base", "root", "quiesce=yes\n");
        while (!(await RawMonitor.QemuAsync(RunOfBase, "query-named-block-nodes")).Contains("\"mgmt-copy-root\"", StringComparison.Ordinal))
        {
            Assert.That(taking.IsCompleted, Is.False);
        }
        TestSignal.Send(pid, TestSignal.Stop);
        // No mail, if it was sent before: then the guest has it.
        var until = Environment.TickCount64 + 1000;
        while (!AgentHasMail() && Environment.TickCount64 < until)
        {
            await Task.Delay(20);
        }
        TestSignal.Send(Daemon.Pid, TestSignal.Stop);
        TestSignal.Send(pid, TestSignal.Continue);
        await UntilAsync(() => Task.FromResult(!AgentHasMail()));
        await Daemon.KillHardAsync();
        await Cut(taking);
        // Answered after what came before it.
        string status;
        do
        {
            status = await RawMonitor.FreezeStatusAsync(RunOfBase);
        }
        while (status == "silent");
        return status == "frozen";
    }

    private async Task StartAgainAsync()
    {
        await Daemon.StartAgainAsync();
        await using var events = await Daemon.EventsAsync("since=now\nsubject=base\nevent=agent-state");
        await _qemu.AgentAsync("base", events, "ready");
    }

    /// <summary>Whether bytes wait in the agent's socket for a QEMU that does not read: <c>u_str ESTAB RECEIVED SENT PATH …</c>.</summary>
    private bool AgentHasMail()
    {
        using var process = Process.Start(new ProcessStartInfo("ss", ["-x", "-H"]) { RedirectStandardOutput = true })!;
        var lines = process.StandardOutput.ReadToEnd().Split('\n');
        process.WaitForExit();
        return lines.Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Any(words => words.Length > 4 && words[4] == Path.Combine(RunOfBase, "agent") && words[2] != "0");
    }

    private IEnumerable<string> Files() => Directory.EnumerateFiles(Pools, "*", SearchOption.AllDirectories);

    /// <summary>Those that a caller asked for.</summary>
    private List<string> Revisions() => [.. Files().Where(path => Path.GetFileName(path).Contains(".snapshot.", StringComparison.Ordinal))];

    private List<string> Unfinished() => [.. Files().Where(path => Path.GetFileName(path).StartsWith(".tmp-", StringComparison.Ordinal))];

    private async Task AssertNothingInQemuAsync()
    {
        foreach (var question in new[] { "query-jobs", "query-named-block-nodes", "query-fdsets" })
        {
            Assert.That(await RawMonitor.QemuAsync(RunOfBase, question), Does.Not.Contain("mgmt-copy"), question);
        }
    }

    /// <summary>Nobody is left to answer.</summary>
    private static async Task Cut(Task call)
    {
        try
        {
            await call;
        }
        catch (IOException)
        {
        }
        catch (System.Net.Sockets.SocketException)
        {
        }
    }

    private static async Task<(int Code, string Said)> CheckAsync(string raw)
    {
        using var process = Process.Start(new ProcessStartInfo("/sbin/e2fsck", ["-fn", raw]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var error = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode, output + await error);
    }

    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        var until = Environment.TickCount64 + (long)QemuDaemon.BootDeadline.TotalMilliseconds;
        while (!await condition())
        {
            Assert.That(Environment.TickCount64, Is.LessThan(until), "it does not come about");
            await Task.Delay(20);
        }
    }
}
