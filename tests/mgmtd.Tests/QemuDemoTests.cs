using System.Diagnostics;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>The demonstration that make run is, with the programs that make build left in out/bin.</summary>
[NonParallelizable]
internal sealed class QemuDemoTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(120);

    [Test]
    public async Task The_demo_boots_a_guest_shows_its_system_and_leaves_nothing_behind()
    {
        foreach (var program in new[] { "mgmtd", "mgmtctl" })
        {
            if (!File.Exists(Path.Combine(Repository.Root, "out", "bin", program)))
            {
                Requirement.Missing($"out/bin/{program} is missing: make build");
            }
        }
        GuestFiles.Require();
        var run = Path.Combine(Repository.Root, "out", "run");
        var before = Temporary();
        var start = new ProcessStartInfo(Path.Combine(Repository.Root, "tests", "demo", "run-demo"))
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
            Environment = { ["MGMT_DEMO_EXIT"] = "1" },
        };
        using var demo = Process.Start(start)!;
        demo.StandardInput.Close();
        var output = demo.StandardOutput.ReadToEndAsync();
        var error = demo.StandardError.ReadToEndAsync();
        await demo.WaitForExitAsync().WaitAsync(Deadline);
        Assert.That(demo.ExitCode, Is.Zero, await output + await error);
        Assert.That(await output, Does.Contain("Mgmt demo guest").And.Contain("domain-start").And.Contain("exit status 126"));
        Assert.That(Processes(run), Is.Empty);
        Assert.That(Temporary(), Is.SubsetOf(before));
    }

    private static string[] Temporary() => Directory.GetDirectories(Path.GetTempPath(), "mgmt.*");

    /// <summary>The command lines that speak of the demo's directory.</summary>
    private static List<string> Processes(string directory)
    {
        var found = new List<string>();
        foreach (var process in Directory.EnumerateDirectories("/proc").Where(path => int.TryParse(Path.GetFileName(path), out _)))
        {
            try
            {
                var words = File.ReadAllText(Path.Combine(process, "cmdline")).Replace('\0', ' ');
                if (words.Contains(directory, StringComparison.Ordinal) || words.Contains("guest=demo ", StringComparison.Ordinal))
                {
                    found.Add(words);
                }
            }
            catch (IOException)
            {
                // It ended.
            }
        }
        return found;
    }
}
