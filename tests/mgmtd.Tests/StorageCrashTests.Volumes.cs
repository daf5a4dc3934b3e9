using System.Globalization;
using System.Text;
using Mgmt.Core;
using Mgmt.Testing;
using Mgmt.Wire;

namespace Mgmt.Daemon.Tests;

/// <content>Changes of one volume. Steps inside the pools are cut off one by one in Mgmt.Storage.Tests.</content>
internal sealed partial class StorageCrashTests
{
    private const int MiB = 1 << 20;
    private const byte Written = 0x5a;
    private static readonly byte[] s_old = DiskImages.Noise(MiB, 1), s_new = DiskImages.Noise(MiB, 2), s_larger = DiskImages.Noise(2 * MiB, 3);
    private static readonly byte[] s_written = [.. Enumerable.Repeat(Written, MiB)];
    private readonly Dictionary<string, byte[]> _revisions = [];
    private string _pinned = "", _removed = "", _token = "";

    /// <summary>What is called, what the volume holds after it, and whether what it held is then a revision.</summary>
    private static readonly Dictionary<string, (byte[] Result, bool Keeps)> s_changes = new(StringComparer.Ordinal)
    {
        ["Snapshot"] = (s_old, false),
        ["Snapshot, running"] = (s_old, false),
        ["RemoveSnapshot"] = (s_old, false),
        ["Revert"] = (s_larger, true),
        ["Resize, larger"] = ([.. s_old, .. new byte[MiB]], false),
        ["Resize, smaller"] = (s_old[..(MiB / 2)], false),
        ["Import"] = (s_new, true),
        ["ImportWithSize"] = (s_larger, true),
        ["Clear"] = (new byte[MiB], true),
        ["CloneTo"] = (s_larger, true),
        ["CloneTo, other pool"] = (s_larger, true),
        ["Kill"] = (s_written, true),
    };

    private async Task PrepareVolumeAsync(string operation)
    {
        if (operation == "Snapshot, running")
        {
            if (await Daemon.StateAsync("work") == "Halted")
            {
                await ImportAsync("work", s_old, withSize: true);
                await Daemon.OkAsync("mgmt.vm.Start", "work");
            }
            return;
        }
        await HaltedAsync();
        await ImportAsync("work", s_old, withSize: true);
        if (operation == "RemoveSnapshot")
        {
            _removed = await VolumeAsync("Snapshot", "work");
        }
        if (operation.StartsWith("CloneTo", StringComparison.Ordinal))
        {
            _token = await VolumeAsync("CloneFrom", operation == "CloneTo" ? "other" : "far");
        }
        if (operation == "Kill")
        {
            await Daemon.OkAsync("mgmt.vm.Start", "work");
            await RawMonitor.WriteAsync(RunOfWork, "private", Written, MiB);
        }
    }

    private async Task<Reply> CallVolumeAsync(string operation) => operation switch
    {
        "Import" => ReplyParser.Parse(await SendImportAsync("work", s_new, withSize: false)),
        "ImportWithSize" => ReplyParser.Parse(await SendImportAsync("work", s_larger, withSize: true)),
        "Kill" => await Daemon.CallAsync("mgmt.vm.Kill", "work"),
        _ => await Daemon.CallAsync("mgmt.vm.volume." + operation.Split(',')[0], "work", "private", operation switch
        {
            "RemoveSnapshot" => _removed,
            "Revert" => _pinned,
            "Resize, larger" => "2097152",
            "Resize, smaller" => "524288 force",
            "CloneTo" or "CloneTo, other pool" => _token,
            _ => "",
        }),
    };

    private async Task VerifyVolumeAsync(string operation, string when, bool wasCut)
    {
        if (operation == "Kill" && await Daemon.StateAsync("work") == "Running")
        {
            // It was killed before QEMU was: the VM goes on, with all it has written.
            await HaltedAsync();
        }
        var (result, keeps) = s_changes[operation];
        var content = await DiskImages.ReadAsync(Image);
        var isNew = content.AsSpan().SequenceEqual(result);
        Assert.That(isNew || (wasCut && operation != "Kill" && content.AsSpan().SequenceEqual(s_old)), Is.True, when);
        Assert.That(await VolumeAsync("Info", "work"), Does.Contain(string.Create(CultureInfo.InvariantCulture, $"\nsize={content.Length}\n")), when);
        var ids = (await VolumeAsync("ListSnapshots", "work")).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(ids, Does.Contain(_pinned), when);
        foreach (var id in ids)
        {
            var holds = await DiskImages.ReadAsync(Directory.GetFiles(Path.GetDirectoryName(Image)!, $"private.rev-{id}@*{Suffix}").Single());
            // An id is never given out twice.
            Assert.That(_revisions.TryGetValue(id, out var known) ? holds.AsSpan().SequenceEqual(known) : s_changes.Values.Any(o => holds.AsSpan().SequenceEqual(o.Result)), Is.True, $"{when}: revision {id}");
            _revisions[id] = holds;
        }
        if (keeps && isNew)
        {
            Assert.That(_revisions[ids[^1]].AsSpan().SequenceEqual(s_old), Is.True, when);
        }
        if (operation == "RemoveSnapshot" && !wasCut)
        {
            Assert.That(ids, Does.Not.Contain(_removed), when);
        }
    }

    private async Task HaltedAsync()
    {
        if (await Daemon.StateAsync("work") != "Halted")
        {
            await Daemon.OkAsync("mgmt.vm.Kill", "work");
        }
    }

    private Task<string> VolumeAsync(string call, string vm, string payload = "") => Daemon.OkAsync("mgmt.vm.volume." + call, vm, "private", payload);

    private async Task ImportAsync(string vm, byte[] bytes, bool withSize) => Assert.That(await SendImportAsync(vm, bytes, withSize), Is.EqualTo("0\0"u8.ToArray()));

    private Task<byte[]> SendImportAsync(string vm, byte[] bytes, bool withSize)
    {
        var header = Encoding.ASCII.GetBytes($"mgmt.vm.volume.{(withSize ? "ImportWithSize" : "Import")}+private dom0 name {vm}\0{(withSize ? $"{bytes.Length}\n" : "")}");
        return Daemon.SendRawAsync((byte[])[.. header, .. bytes]);
    }
}
