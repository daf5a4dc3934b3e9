using System.Diagnostics;
using System.Text.Json;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>
/// What of the dialect does not depend on what the test host holds, on the real QEMU. The devices are those that can be made to exist anywhere: loop devices, exported files, volumes of other VMs and QEMU's
/// own microphone. USB and PCI devices cannot, so their formats are compared on the test host alone; only assignments of such that are not there are compared here, too.
/// </summary>
public sealed class QemuDialectTests
{
    private readonly List<string> _loops = [];
    private readonly Dictionary<string, string> _names = new(StringComparer.Ordinal) { ["template"] = "base", ["file"] = "file-golden.img" };
    private QemuDaemon? _daemon;
    private string? _directory;

    public static IEnumerable<Scenario> Scenarios => new[] { "formats.json", "events.json", "tools.json" }.SelectMany(Scenario.Read).Where(scenario => scenario.OnQemu);

    [OneTimeSetUp]
    public async Task Start()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            Requirement.Missing("loop devices need root");
        }
        Requirement.Program("losetup");
        _directory = Directory.CreateTempSubdirectory("mgmt-dialect-").FullName;
        var exported = Directory.CreateDirectory(Path.Combine(_directory, "exported")).FullName;
        Allocate(Path.Combine(exported, "golden.img"));
        foreach (var name in new[] { "disk", "other" })
        {
            var file = Path.Combine(_directory, name);
            Allocate(file);
            _loops.Add(Run("losetup", "--find", "--show", file));
            _names[name] = Path.GetFileName(_loops[^1]);
        }
        var config = JsonSerializer.Serialize(new Dictionary<string, object> { ["machined"] = false, ["exported-files"] = new[] { exported }, ["audio-backend"] = "none" });
        _daemon = await QemuDaemon.StartAsync(new() { Backend = "qemu:///system", Config = config });
    }

    [OneTimeTearDown]
    public async Task Stop()
    {
        if (_daemon is not null)
        {
            await _daemon.DisposeAsync();
        }
        foreach (var loop in _loops)
        {
            Run("losetup", "-d", loop);
        }
        if (_directory is not null)
        {
            Directory.Delete(_directory, recursive: true);
        }
    }

    [TestCaseSource(nameof(Scenarios))]
    public Task The_same_bytes_come_on_qemu(Scenario scenario) => ScenarioRun.PlayAsync(_daemon!.Process, scenario, _names);

    private static void Allocate(string path)
    {
        using var file = File.Create(path);
        file.SetLength(4 << 20);
    }

    private static string Run(string tool, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(tool, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.That(process.ExitCode, Is.Zero, $"{tool} {string.Join(' ', arguments)}: {process.StandardError.ReadToEnd()}");
        return output.Trim();
    }
}
