using System.Globalization;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>A daemon on the real QEMU, with the small guest's kernel and a template of its root. VMs that still run end with it.</summary>
internal sealed class QemuDaemon : IAsyncDisposable
{
    /// <summary>For a guest to boot on a machine that is busy.</summary>
    internal static readonly TimeSpan BootDeadline = TimeSpan.FromSeconds(90);

    private QemuDaemon(DaemonProcess process) => Process = process;

    internal DaemonProcess Process { get; }

    /// <summary>qemu:///system without systemd-machined, unless the options say otherwise. Without root, QEMU or the guest the test is ignored.</summary>
    internal static async Task<QemuDaemon> StartAsync(DaemonOptions? options = null)
    {
        if (!Environment.IsPrivilegedProcess)
        {
            Requirement.Missing("the tests on QEMU need root");
        }
        Requirement.Program("qemu-system-x86_64");
        Requirement.Program("setpriv");
        GuestFiles.Require();
        var daemon = new QemuDaemon(await DaemonProcess.StartAsync(options ?? new() { Backend = "qemu:///system", Config = """{ "machined": false }""" }));
        try
        {
            await daemon.FurnishAsync();
            return daemon;
        }
        catch
        {
            await daemon.DisposeAsync();
            throw;
        }
    }

    /// <summary>Makes an AppVM of the template, small enough for several at a time.</summary>
    internal async Task MakeVmAsync(string name)
    {
        await Process.OkAsync("mgmt.vm.Create.AppVM", "dom0", "base", $"name={name} label=red");
        await Process.OkAsync("mgmt.vm.property.Set", name, "memory", "160");
        await Process.OkAsync("mgmt.vm.property.Set", name, "vcpus", "1");
    }

    /// <summary>Starts a VM unless it runs, and waits until its agent answers.</summary>
    internal async Task ReadyAsync(string name)
    {
        await using var events = await Process.EventsAsync($"since=now\nsubject={name}\nevent=agent-state");
        await Process.OkAsync("mgmt.vm.Start", name);
        await AgentAsync(name, events, "ready");
    }

    /// <summary>Waits until the agent is as said; the stream is one of the VM's agent-state events, opened before what changes it.</summary>
    internal async Task AgentAsync(string name, DaemonEvents events, string state)
    {
        if (!(await Process.OkAsync("mgmt.vm.CurrentState", name)).Contains("agent=" + state, StringComparison.Ordinal))
        {
            await UntilAsync(events, e => e.Subject == name && e["agent"] == state);
        }
    }

    /// <summary>The events up to the one that the test is true for, bookmarks left out.</summary>
    internal static async Task<List<MgmtEvent>> UntilAsync(DaemonEvents events, Func<MgmtEvent, bool> isLast) =>
        [.. (await events.UntilAsync(isLast, BootDeadline)).Where(e => e.Name != "bookmark")];

    /// <summary>The process of a VM that runs.</summary>
    internal int Pid(string name) => Processes().Single(p => p.Directory.EndsWith("-" + name, StringComparison.Ordinal)).Pid;

    /// <summary>The arguments of a VM's QEMU.</summary>
    internal string[] CommandLine(string name) => File.ReadAllText($"/proc/{Pid(name)}/cmdline").Split('\0');

    public async ValueTask DisposeAsync()
    {
        await EndAsync();
        await Process.DisposeAsync();
    }

    /// <summary>Kills the daemon and the VMs that still run; their files stay.</summary>
    internal async Task EndAsync()
    {
        // First the daemon, so that nothing is started while we end what there is.
        if (!Process.HasExited)
        {
            await Process.KillHardAsync();
        }
        foreach (var (_, pid) in Processes())
        {
            TestSignal.Send(pid, TestSignal.Kill);
            await TestSignal.GoneAsync(pid);
        }
    }

    /// <summary>The guest's kernel, as an administrator puts it there, and the template.</summary>
    private async Task FurnishAsync()
    {
        var kernel = Directory.CreateDirectory(Path.Combine(Process.StateDirectory, "pools", "linux-kernel", "demo")).FullName;
        foreach (var file in new[] { "vmlinuz", "initramfs" })
        {
            File.Copy(Path.Combine(GuestFiles.KernelDirectory, file), Path.Combine(kernel, file));
        }
        await Process.OkAsync("mgmt.property.Set", "dom0", "default_kernel", "demo");
        var image = await File.ReadAllBytesAsync(GuestFiles.RootImage);
        byte[] header = [.. System.Text.Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"mgmt.vm.CreateTemplate+base+{image.Length} dom0 name dom0\0"))];
        var reply = await Process.SendRawAsync((byte[])[.. header, .. image]);
        if (reply is not [(byte)'0', 0])
        {
            throw new IOException($"no template: {System.Text.Encoding.Latin1.GetString(reply)}");
        }
    }

    /// <summary>What the run directory says is running, and does: never another process that got the number.</summary>
    private IEnumerable<(string Directory, int Pid)> Processes()
    {
        var all = Path.Combine(Process.RunDirectory, "vm");
        foreach (var directory in Directory.Exists(all) ? Directory.EnumerateDirectories(all) : [])
        {
            var words = File.ReadAllLines(Path.Combine(directory, "process"))[2].Split(' ');
            if (int.TryParse(words[0], CultureInfo.InvariantCulture, out var pid) && TestSignal.StartTicks(pid) == words[1])
            {
                yield return (directory, pid);
            }
        }
    }
}
