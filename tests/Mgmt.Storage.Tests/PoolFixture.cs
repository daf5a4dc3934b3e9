using System.Collections.Immutable;
using System.Diagnostics;
using System.IO.Pipelines;
using Mgmt.Core;
using Mgmt.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using NUnit.Framework;

namespace Mgmt.Storage.Tests;

/// <summary>
/// A pool in a directory of its own, with the real qemu-img and qemu-io: of a driver, on a real file system
/// (see <see cref="LoopFileSystem"/>; without a name, where temporary files are).
/// </summary>
public abstract class PoolFixture(string driver = "qcow2", string fileSystem = "")
{
    protected const long Size = 4 << 20;
    private readonly CancellationTokenSource _deadline = new(TimeSpan.FromSeconds(60));

    protected string Top { get; private set; } = "";

    protected string PoolPath => Path.Combine(Top, "pools", "default");

    protected IPoolDriver OpenedBy { get; private set; } = null!;

    protected IStoragePool Pool { get; set; } = null!;

    protected CancellationToken Token => _deadline.Token;

    [SetUp]
    public async Task Open()
    {
        Requirement.Program("qemu-img");
        Requirement.Program("qemu-io");
        Top = LoopFileSystem.NewDirectory(fileSystem);
        OpenedBy = Driver();
        Pool = await OpenedBy.OpenAsync(Record(), Token);
    }

    [TearDown]
    public async Task Close()
    {
        if (Pool is not null)
        {
            await ClosePool();
        }
        if (Top.Length > 0)
        {
            Directory.Delete(Top, recursive: true);
        }
        _deadline.Dispose();
    }

    protected string DriverName => driver;

    protected string Suffix => driver == "qcow2" ? ".qcow2" : ".img";

    protected IPoolDriver Driver(string qemuImg = "qemu-img") => NewDriver(driver, Path.Combine(Top, "pools"), qemuImg, static _ => { });

    internal static IPoolDriver NewDriver(string driver, string root, string qemuImg, Action<string> step) => driver == "qcow2"
        ? new Qcow2Driver([root], NullLogger<Qcow2Driver>.Instance, TimeProvider.System, qemuImg, step)
        : new FileReflinkDriver([root], NullLogger<FileReflinkDriver>.Instance, TimeProvider.System, qemuImg, step);

    /// <summary>Closes the pool before the test's end.</summary>
    protected async Task ClosePool()
    {
        await Pool.DisposeAsync();
        Pool = null!;
    }

    protected async Task Reopen(string qemuImg = "qemu-img")
    {
        await Pool.DisposeAsync();
        Pool = await Driver(qemuImg).OpenAsync(Record(), Token);
    }

    internal static PoolRecord Record(string? path = null, string name = "default") =>
        new(PoolName.Parse(name), "any", path is null ? VmRecord.Empty : VmRecord.Empty.Add("dir_path", path));

    /// <summary>A volume that keeps no revisions unless told.</summary>
    internal static VolumeRecord Volume(string vid, bool save, string? source = null, int keep = 0) => new()
    {
        Name = VolumeNames.Parse(vid.Split('/')[^1]),
        Pool = PoolName.Parse("default"),
        Vid = Vid.Parse(vid),
        SizeBytes = Size,
        Writable = true,
        SaveOnStop = save,
        SnapOnStart = source is not null,
        Source = source is null ? null : Vid.Parse(source),
        RevisionsToKeep = keep,
    };

    protected static VolumeRecord Template { get; } = Volume("vm-templates/debian/root", save: true);

    protected static VolumeRecord AppRoot(string vm = "work") => Volume($"appvms/{vm}/root", save: false, "vm-templates/debian/root");

    protected async Task Write(OpenVolume open, byte pattern, string range = "0 64k") => Assert.That(await Io(open, $"write -P {pattern} {range}"), Is.Zero);

    protected async Task<bool> Reads(OpenVolume open, byte pattern, string range = "0 64k") => await Io(open, $"read -P {pattern} {range}") == 0;

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

    /// <summary>Whether what can be exported begins with a pattern.</summary>
    protected async Task<bool> Exports(VolumeRecord volume, byte pattern, RevisionId? revision = null)
    {
        using var open = await Pool.ExportAsync(volume, revision, Token);
        return await Reads(open, pattern);
    }

    protected static byte[] Bytes(byte pattern, long count = Size)
    {
        var bytes = new byte[count];
        bytes.AsSpan().Fill(pattern);
        return bytes;
    }

    protected string Script(string body)
    {
        var tool = Path.Combine(Top, "tool");
        File.WriteAllText(tool, "#!/bin/sh\n" + body + "\n");
        File.SetUnixFileMode(tool, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        return tool;
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
            image = $$"""{"driver":"{{layer.Format}}","file":{"driver":"file","filename":"{{file}}"}{{layer.Format switch
            {
                "raw" => "",
                "luks" => ",\"key-secret\":\"key\"",
                _ => ",\"backing\":" + (image.Length == 0 ? "null" : image),
            }}}}""";
        }
        string[] key = open.Key is null ? [] : ["--object", "secret,id=key,file=/proc/self/fd/0"];
        var start = new ProcessStartInfo("qemu-io", [.. key, .. open.Layers[0].ReadOnly ? (string[])["-r"] : [], "-c", command, "json:" + image])
        {
            RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true,
        };
        using var process = Process.Start(start)!;
        await process.StandardInput.BaseStream.WriteAsync(open.Key?.Text ?? default, Token);
        process.StandardInput.Close();
        var output = await process.StandardOutput.ReadToEndAsync(Token);
        await process.WaitForExitAsync(Token);
        return output.Contains("Pattern verification failed", StringComparison.Ordinal) ? 1 : process.ExitCode;
    }
}
