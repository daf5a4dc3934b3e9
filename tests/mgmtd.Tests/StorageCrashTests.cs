using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Mgmt.Core;
using Mgmt.Testing;
using Mgmt.Wire;

namespace Mgmt.Daemon.Tests;

/// <summary>kill -9 of the daemon while it makes, copies and removes VMs on real qcow2 images: afterwards there is the old state or the new one, and nothing else.</summary>
[NonParallelizable]
internal sealed class StorageCrashTests
{
    private const int Cuts = 14;
    private readonly byte[] _image = RandomNumberGenerator.GetBytes(2 << 20);
    private DaemonProcess _daemon = null!;

    private string Pool => Path.Combine(_daemon.StateDirectory, "pools", "default");

    [OneTimeSetUp]
    public async Task Start()
    {
        Requirement.Program("qemu-img");
        Requirement.Program("qemu-system-x86_64");
        _daemon = await DaemonProcess.StartAsync(new() { Backend = Environment.IsPrivilegedProcess ? "qemu:///system" : "qemu:///session", Config = """{ "machined": false }""" });
        byte[] header = [.. Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"mgmt.vm.CreateTemplate+base+{_image.Length} dom0 name dom0\0"))];
        Assert.That(await _daemon.SendRawAsync((byte[])[.. header, .. _image]), Is.EqualTo("0\0"u8.ToArray()));
    }

    [OneTimeTearDown]
    public async Task Stop()
    {
        if (_daemon is not null)
        {
            await _daemon.DisposeAsync();
        }
    }

    /// <summary>Cut off when this many changes of the store or of the pool's files have been seen, for one to many.</summary>
    [TestCase("create")]
    [TestCase("clone")]
    [TestCase("remove")]
    public async Task A_daemon_killed_at_any_step_leaves_the_old_or_the_new_state(string operation)
    {
        var cutOff = 0;
        for (var changes = 1; changes <= Cuts; changes++)
        {
            if (operation == "remove")
            {
                await _daemon.OkAsync("mgmt.vm.Clone", "base", "", "name=new");
            }
            cutOff += await CutAsync(operation, changes) ? 1 : 0;
            await _daemon.StartAgainAsync();
            await SettledAsync();
            if (await ExistsAsync())
            {
                await AssertWholeAsync(operation);
                await _daemon.OkAsync("mgmt.vm.Remove", "new");
            }
            AssertNothingElse();
        }
        Assert.That(cutOff, Is.GreaterThan(0), "no kill was in time");
        Assert.That(_daemon.Log, Does.Contain("was left half-made or half-removed, and is removed"));
    }

    /// <summary>Begins the operation and kills the daemon after so many changes, or when it has answered; true when it never answered.</summary>
    private async Task<bool> CutAsync(string operation, int changes)
    {
        var before = Signature();
        var call = operation switch
        {
            "create" => _daemon.CallAsync("mgmt.vm.Create.StandaloneVM", payload: "name=new label=red"),
            "clone" => _daemon.CallAsync("mgmt.vm.Clone", "base", payload: "name=new"),
            _ => _daemon.CallAsync("mgmt.vm.Remove", "new"),
        };
        for (var seen = 0; seen < changes && !call.IsCompleted;)
        {
            if (Signature() is var now && now != before)
            {
                (before, seen) = (now, seen + 1);
            }
        }
        await _daemon.KillHardAsync();
        try
        {
            return await call is not Reply.Ok;
        }
        catch (MgmtException)
        {
            // Nobody was left to answer.
            return true;
        }
    }

    /// <summary>What a step changes: the store's log, or the names in the pool.</summary>
    private string Signature()
    {
        var log = new FileInfo(Path.Combine(_daemon.StateDirectory, "state.db-wal"));
        return $"{(log.Exists ? log.Length : 0)} {string.Join(' ', Names())}";
    }

    private List<string> Names()
    {
        while (true)
        {
            try
            {
                return [.. Directory.EnumerateFileSystemEntries(Pool, "*", SearchOption.AllDirectories).Select(path => Path.GetRelativePath(Pool, path)).Order(StringComparer.Ordinal)];
            }
            catch (DirectoryNotFoundException)
            {
                // One went while its turn came.
            }
        }
    }

    /// <summary>The list of unfinished volumes is empty a moment after the daemon serves.</summary>
    private async Task SettledAsync()
    {
        var limit = Stopwatch.StartNew();
        while (await UnfinishedAsync() is var left and > 0)
        {
            Assert.That(limit.Elapsed, Is.LessThan(DaemonProcess.Deadline), $"{left} volumes are still unfinished");
            await Task.Delay(10);
        }
    }

    private async Task<int> UnfinishedAsync()
    {
        using var status = JsonDocument.Parse(await _daemon.OkAsync("mgmt.Status"));
        return status.RootElement.GetProperty("storage").EnumerateArray().Sum(pool => pool.GetProperty("unfinished").GetInt32());
    }

    private async Task<bool> ExistsAsync() => (await _daemon.OkAsync("mgmt.vm.List")).Contains("new class=", StringComparison.Ordinal);

    private async Task AssertWholeAsync(string operation)
    {
        var directory = Path.Combine(Pool, operation == "create" ? "appvms" : "vm-templates", "new");
        Assert.That(Directory.EnumerateFiles(directory).Select(Path.GetFileName), Is.EquivalentTo(new[] { "private.qcow2", "root.qcow2" }));
        if (operation != "create")
        {
            Assert.That(await ContentAsync(Path.Combine(directory, "root.qcow2")), Is.EqualTo(_image));
        }
    }

    private void AssertNothingElse()
    {
        var names = Names();
        Assert.That(names.Where(name => name.Contains(".qcow2", StringComparison.Ordinal) || name.StartsWith('.')), Is.EqualTo(new[] { "vm-templates/base/private.qcow2", "vm-templates/base/root.qcow2" }));
        Assert.That(names.Except(["appvms", "vm-templates", "vm-templates/base"]).Count(), Is.EqualTo(2), string.Join(" ", names));
    }

    private static async Task<byte[]> ContentAsync(string image)
    {
        var raw = Path.GetTempFileName();
        try
        {
            using var process = Process.Start("qemu-img", ["convert", "-f", "qcow2", "-O", "raw", image, raw]);
            await process.WaitForExitAsync();
            Assert.That(process.ExitCode, Is.Zero);
            return await File.ReadAllBytesAsync(raw);
        }
        finally
        {
            File.Delete(raw);
        }
    }
}
