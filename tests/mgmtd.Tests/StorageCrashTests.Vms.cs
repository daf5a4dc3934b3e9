using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using Mgmt.Core;
using Mgmt.Testing;
using Mgmt.Wire;

namespace Mgmt.Daemon.Tests;

/// <content>VMs that are made, copied and removed with all their volumes, or not at all.</content>
internal sealed partial class StorageCrashTests
{
    /// <summary>What makes or removes the VM <c>new</c>, or a disposable.</summary>
    private static readonly string[] s_creations = ["Create", "CreateTemplate", "Clone", "CloneInPool", "Remove", "CreateDisposable", "End of a disposable"];

    private string _disposable = "";

    private async Task PrepareVmAsync(string operation)
    {
        if (operation == "Remove")
        {
            await Daemon.OkAsync("mgmt.vm.Clone", "other", "", "name=new");
        }
        if (operation == "End of a disposable")
        {
            _disposable = await Daemon.OkAsync("mgmt.vm.CreateDisposable", "dvm");
            await Daemon.OkAsync("mgmt.vm.Start", _disposable);
        }
    }

    private async Task<Reply> CallVmAsync(string operation) => operation switch
    {
        "Create" => await Daemon.CallAsync("mgmt.vm.CreateInPool.StandaloneVM", payload: "name=new label=red pool=crash"),
        "CreateTemplate" => ReplyParser.Parse(await Daemon.SendRawAsync((byte[])[.. Encoding.ASCII.GetBytes($"mgmt.vm.CreateTemplate+new+{s_larger.Length} dom0 name dom0\0"), .. s_larger])),
        "Clone" => await Daemon.CallAsync("mgmt.vm.Clone", "other", payload: "name=new"),
        "CloneInPool" => await Daemon.CallAsync("mgmt.vm.CloneInPool", "far", payload: "name=new pool=crash"),
        "CreateDisposable" => await Daemon.CallAsync("mgmt.vm.CreateDisposable", "dvm"),
        "End of a disposable" => await EndDisposableAsync(),
        _ => await Daemon.CallAsync("mgmt.vm.Remove", "new"),
    };

    /// <summary>Done when it is removed, after its end.</summary>
    private async Task<Reply> EndDisposableAsync()
    {
        var killed = await Daemon.CallAsync("mgmt.vm.Kill", _disposable);
        try
        {
            while (await Daemon.CallAsync("mgmt.vm.List", _disposable) is Reply.Ok)
            {
                await Task.Delay(1);
            }
        }
        catch (SocketException error)
        {
            throw new MgmtException(error, ErrorCode.MgmtUnavailableError, "the daemon is gone");
        }
        return killed;
    }

    /// <summary>The next daemon removes each that does not run, also one whose maker heard of it; one that runs goes on, and is removed at its end.</summary>
    private async Task VerifyDisposableAsync(string operation, string when, bool wasCut)
    {
        var limit = Stopwatch.StartNew();
        while ((await Daemon.OkAsync("mgmt.vm.List")).Split('\n').FirstOrDefault(line => line.Contains(" class=DispVM ", StringComparison.Ordinal)) is { } line)
        {
            Assert.That(limit.Elapsed, Is.LessThan(DaemonProcess.Deadline), $"{when}: {line}");
            if (line.EndsWith("state=Running", StringComparison.Ordinal))
            {
                Assert.That((operation, wasCut), Is.EqualTo(("End of a disposable", true)), when);
                await Daemon.OkAsync("mgmt.vm.Kill", _disposable);
            }
            await Task.Delay(10);
        }
        await PutRightAsync(when);
        Assert.That(Directory.EnumerateFileSystemEntries(Path.Combine(Pool, "appvms"), "disp*"), Is.Empty, when);
    }

    private async Task VerifyVmAsync(string operation, string when, bool wasCut)
    {
        if (operation.Contains("isposable", StringComparison.Ordinal))
        {
            await VerifyDisposableAsync(operation, when, wasCut);
            return;
        }
        var isThere = (await Daemon.OkAsync("mgmt.vm.List")).Contains("new class=", StringComparison.Ordinal);
        Assert.That(wasCut || isThere == (operation != "Remove"), Is.True, when);
        var directory = Path.Combine(Pool, operation == "CreateTemplate" ? "vm-templates" : "appvms", "new");
        if (isThere)
        {
            Assert.That(Directory.EnumerateFiles(directory).Select(Path.GetFileName), Is.EquivalentTo(new[] { "private" + Suffix, "root" + Suffix }), when);
            if (operation != "Create")
            {
                var content = await DiskImages.ReadAsync(Path.Combine(directory, (operation == "CreateTemplate" ? "root" : "private") + Suffix));
                Assert.That(content.AsSpan().SequenceEqual(s_larger), Is.True, when);
            }
            await Daemon.OkAsync("mgmt.vm.Remove", "new");
        }
        Assert.That(Directory.Exists(directory), Is.False, when);
        Assert.That(await Daemon.OkAsync("mgmt.pool.Check", "dom0", "crash"), Is.Empty, when);
    }
}
