using System.Text;
using System.Text.Json;
using Mgmt.Core;

namespace Mgmt.Qemu.Tests;

/// <summary>Runs things in the guest through its agent.</summary>
internal static class GuestShell
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    /// <summary>Runs a script to its end and gives its output. It has to succeed.</summary>
    public static async Task<string> ShellAsync(this IRunningVm vm, string script, CancellationToken cancellation)
    {
        var pid = await vm.StartShellAsync(script, cancellation);
        while (true)
        {
            var status = await vm.Agent.ExecuteAsync("guest-exec-status", $$"""{"pid":{{pid}}}""", Deadline, cancellation);
            if (status.GetProperty("exited").GetBoolean())
            {
                var output = status.TryGetProperty("out-data", out var data) ? Encoding.UTF8.GetString(data.GetBytesFromBase64()) : "";
                Assert.That(status.TryGetProperty("exitcode", out var code) ? code.GetInt32() : -1, Is.Zero, output);
                return output;
            }
            await Task.Delay(20, cancellation);
        }
    }

    /// <summary>Starts a script and gives its pid.</summary>
    public static async Task<int> StartShellAsync(this IRunningVm vm, string script, CancellationToken cancellation)
    {
        var arguments = JsonSerializer.Serialize(new { path = "/bin/sh", arg = new[] { "-c", script + " 2>&1" }, capture_output = true }).Replace("capture_output", "capture-output", StringComparison.Ordinal);
        return (await vm.Agent.ExecuteAsync("guest-exec", arguments, Deadline, cancellation)).GetProperty("pid").GetInt32();
    }
}
