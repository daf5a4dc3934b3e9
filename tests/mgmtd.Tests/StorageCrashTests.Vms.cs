using System.Text;
using Mgmt.Wire;

namespace Mgmt.Daemon.Tests;

/// <content>VMs that are made, copied and removed with all their volumes, or not at all.</content>
internal sealed partial class StorageCrashTests
{
    /// <summary>What makes or removes the VM <c>new</c>.</summary>
    private static readonly string[] s_creations = ["Create", "CreateTemplate", "Clone", "CloneInPool", "Remove"];

    private async Task PrepareVmAsync(string operation)
    {
        if (operation == "Remove")
        {
            await Daemon.OkAsync("mgmt.vm.Clone", "other", "", "name=new");
        }
    }

    private async Task<Reply> CallVmAsync(string operation) => operation switch
    {
        "Create" => await Daemon.CallAsync("mgmt.vm.CreateInPool.StandaloneVM", payload: "name=new label=red pool=crash"),
        "CreateTemplate" => ReplyParser.Parse(await Daemon.SendRawAsync((byte[])[.. Encoding.ASCII.GetBytes($"mgmt.vm.CreateTemplate+new+{s_larger.Length} dom0 name dom0\0"), .. s_larger])),
        "Clone" => await Daemon.CallAsync("mgmt.vm.Clone", "other", payload: "name=new"),
        "CloneInPool" => await Daemon.CallAsync("mgmt.vm.CloneInPool", "far", payload: "name=new pool=crash"),
        _ => await Daemon.CallAsync("mgmt.vm.Remove", "new"),
    };

    private async Task VerifyVmAsync(string operation, string when, bool wasCut)
    {
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
