using System.Collections.Immutable;
using System.Diagnostics;
using System.IO.Pipelines;
using Mgmt.Core;
using Microsoft.Extensions.Logging.Abstractions;
using NUnit.Framework;

namespace Mgmt.Storage.Tests;

/// <summary>A pool in a directory of its own, with the real qemu-img and qemu-io.</summary>
public abstract class PoolFixture
{
    protected const long Size = 4 << 20;
    private readonly CancellationTokenSource _deadline = new(TimeSpan.FromSeconds(60));

    protected string Top { get; private set; } = "";

    protected string PoolPath => Path.Combine(Top, "pools", "default");

    protected Qcow2Driver OpenedBy { get; private set; } = null!;

    protected IStoragePool Pool { get; private set; } = null!;

    protected CancellationToken Token => _deadline.Token;

    [SetUp]
    public async Task Open()
    {
        RequireTool("qemu-img");
        RequireTool("qemu-io");
        Top = Directory.CreateTempSubdirectory("mgmt-storage-").FullName;
        OpenedBy = Driver();
        Pool = await OpenedBy.OpenAsync(Record(), Token);
    }

    [TearDown]
    public async Task Close()
    {
        if (Pool is not null)
        {
            await Pool.DisposeAsync();
        }
        Directory.Delete(Top, recursive: true);
        _deadline.Dispose();
    }

    protected Qcow2Driver Driver(string qemuImg = "qemu-img") => new([Path.Combine(Top, "pools")], NullLogger<Qcow2Driver>.Instance, TimeProvider.System, qemuImg);

    protected async Task Reopen(string qemuImg = "qemu-img")
    {
        await Pool.DisposeAsync();
        Pool = await Driver(qemuImg).OpenAsync(Record(), Token);
    }

    protected static PoolRecord Record(string? path = null, string name = "default") =>
        new(PoolName.Parse(name), "qcow2", path is null ? VmRecord.Empty : VmRecord.Empty.Add("dir_path", path));

    protected static VolumeRecord Volume(string vid, bool save, string? source = null) => new()
    {
        Name = VolumeNames.Parse(vid.Split('/')[^1]),
        Pool = PoolName.Parse("default"),
        Vid = Vid.Parse(vid),
        SizeBytes = Size,
        Writable = true,
        SaveOnStop = save,
        SnapOnStart = source is not null,
        Source = source is null ? null : Vid.Parse(source),
    };

    protected static VolumeRecord Template { get; } = Volume("vm-templates/debian/root", save: true);

    protected static VolumeRecord AppRoot(string vm = "work") => Volume($"appvms/{vm}/root", save: false, "vm-templates/debian/root");

    protected async Task Write(OpenVolume open, byte pattern) => Assert.That(await Io(open, $"write -P {pattern} 0 64k"), Is.Zero);

    protected async Task<bool> Reads(OpenVolume open, byte pattern) => await Io(open, $"read -P {pattern} 0 64k") == 0;

    protected async Task Filled(VolumeRecord volume, byte pattern)
    {
        using var open = await Pool.StartAsync(volume, Token);
        await Write(open, pattern);
        await Pool.StopAsync(volume, Token);
    }

    protected async Task<bool> Holds(VolumeRecord volume, byte pattern)
    {
        using var open = await Pool.StartAsync(volume, Token);
        var same = await Reads(open, pattern);
        await Pool.StopAsync(volume, Token);
        return same;
    }

    protected Task Import(VolumeRecord volume, byte[] data, long? sizeBytes = null) =>
        Pool.ImportAsync(volume, PipeReader.Create(new MemoryStream(data)), sizeBytes ?? data.Length, null, Token);

    protected static string[] Files(string directory) =>
        Directory.Exists(directory) ? [.. Directory.EnumerateFiles(directory, "*", SearchOption.AllDirectories).Select(f => Path.GetRelativePath(directory, f)).Order(StringComparer.Ordinal)] : [];

    protected static async Task<ErrorCode> CodeOf(Func<Task> act) => (await Assert.ThrowsAsync<MgmtException>(act))!.Code;

    // Through the descriptors that QEMU would get, so that an image without a name is read too.
    private async Task<int> Io(OpenVolume open, string command)
    {
        var image = "";
        foreach (var layer in open.Layers.Reverse())
        {
            var file = $"/proc/{Environment.ProcessId}/fd/{layer.File.DangerousGetHandle()}";
            image = $$"""{"driver":"qcow2","file":{"driver":"file","filename":"{{file}}"},"backing":{{(image.Length == 0 ? "null" : image)}}}""";
        }
        var start = new ProcessStartInfo("qemu-io", ["-c", command, "json:" + image]) { RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(start)!;
        var output = await process.StandardOutput.ReadToEndAsync(Token);
        await process.WaitForExitAsync(Token);
        return output.Contains("Pattern verification failed", StringComparison.Ordinal) ? 1 : process.ExitCode;
    }

    private static void RequireTool(string tool)
    {
        if (Environment.GetEnvironmentVariable("PATH")!.Split(':').Any(dir => File.Exists(Path.Combine(dir, tool))))
        {
            return;
        }
        if (Environment.GetEnvironmentVariable("CI") is { Length: > 0 })
        {
            Assert.Fail($"{tool} is missing");
        }
        Assert.Ignore($"{tool} is missing");
    }
}
