using System.Diagnostics;
using System.Globalization;
using System.Text;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>
/// Runs scripts in a real guest whose only way out are its own calls: a loop in its rc.local reads what to do from a feature of its VM and writes the outcome to another one.
/// </summary>
internal sealed class GuestConsole
{
    /// <summary>Rules that a VM with a console needs, in front of the test's own.</summary>
    internal const string Policy = """
        mgmt.vm.feature.Get +cmd @tag:console @anyvm allow target=dom0
        mgmt.vm.feature.Set +out @tag:console @anyvm allow target=dom0

        """;

    private const string Loop = """
        #!/bin/sh
        last=0
        while :; do
            line=$(qrexec-client-vm NAME mgmt.vm.feature.Get+cmd </dev/null 2>/dev/null | tail -c +3)
            seq=${line%% *}
            if [ "${line#* }" != "$line" ] && [ "$seq" != "$last" ]; then
                last=$seq
                echo "${line#* }" | base64 -d >/tmp/cmd
                sh /tmp/cmd >/tmp/out 2>/tmp/err </dev/null
                code=$?
                { printf '%s %s ' "$seq" "$code"; base64 -w0 /tmp/out; echo -n ' '; base64 -w0 /tmp/err; } | qrexec-client-vm NAME mgmt.vm.feature.Set+out >/dev/null 2>&1
            fi
            usleep 100000
        done

        """;

    private readonly DaemonProcess _daemon;
    private readonly string _vm;
    private int _last;

    private GuestConsole(DaemonProcess daemon, string vm) => (_daemon, _vm) = (daemon, vm);

    /// <summary>Makes a VM with a console and starts it; its policy has <see cref="Policy"/>. Returns when it has made its first call.</summary>
    internal static async Task<GuestConsole> StartAsync(QemuDaemon qemu, string vm)
    {
        await qemu.MakeVmAsync(vm);
        await qemu.Process.OkAsync("mgmt.vm.tag.Set", vm, "console");
        await qemu.Process.OkAsync("mgmt.vm.feature.Set", vm, "cmd", "0 -");
        await ImportAsync(qemu.Process, vm);
        await qemu.Process.OkAsync("mgmt.vm.Start", vm);
        var console = new GuestConsole(qemu.Process, vm);
        await console.RunAsync("true", QemuDaemon.BootDeadline);
        return console;
    }

    /// <summary>Runs a script to its end.</summary>
    internal Task<Outcome> RunAsync(string script) => RunAsync(script, QemuDaemon.BootDeadline);

    /// <summary>Runs a script that has to succeed: its output.</summary>
    internal async Task<string> OkAsync(string script)
    {
        var outcome = await RunAsync(script);
        Assert.That(outcome.Code, Is.Zero, outcome.Error);
        return outcome.Output;
    }

    private async Task<Outcome> RunAsync(string script, TimeSpan deadline)
    {
        var number = (++_last).ToString(CultureInfo.InvariantCulture);
        await using var events = await _daemon.EventsAsync($"since=now\nsubject={_vm}\nevent=domain-feature-set:out\n");
        await _daemon.OkAsync("mgmt.vm.feature.Set", _vm, "cmd", $"{number} {Convert.ToBase64String(Encoding.UTF8.GetBytes(script))}");
        var last = (await events.UntilAsync(e => e["value"]?.StartsWith(number + " ", StringComparison.Ordinal) == true, deadline))[^1];
        var words = last["value"]!.Split(' ');
        return new(int.Parse(words[1], CultureInfo.InvariantCulture), Decode(words[2]), Decode(words[3]));
    }

    private static string Decode(string text) => Encoding.Latin1.GetString(Convert.FromBase64String(text));

    private static async Task ImportAsync(DaemonProcess daemon, string vm)
    {
        var directory = Directory.CreateTempSubdirectory("console-").FullName;
        try
        {
            var script = Path.Combine(Directory.CreateDirectory(Path.Combine(directory, "rw", "config")).FullName, "rc.local");
            await File.WriteAllTextAsync(script, Loop.Replace("NAME", vm, StringComparison.Ordinal).ReplaceLineEndings("\n"));
            File.SetUnixFileMode(script, (UnixFileMode)0b111_101_101);
            var image = Path.Combine(directory, "private.img");
            using (var process = Process.Start(new ProcessStartInfo("mke2fs", ["-q", "-F", "-t", "ext4", "-d", Path.Combine(directory, "rw"), image, "16M"]) { RedirectStandardError = true })!)
            {
                await process.WaitForExitAsync();
                Assert.That(process.ExitCode, Is.Zero, await process.StandardError.ReadToEndAsync());
            }
            var bytes = await File.ReadAllBytesAsync(image);
            byte[] header = Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"mgmt.vm.volume.ImportWithSize+private dom0 name {vm}\0{bytes.Length}\n"));
            Assert.That(await daemon.SendRawAsync((byte[])[.. header, .. bytes]), Is.EqualTo("0\0"u8.ToArray()));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    /// <summary>How a script ended; its bytes as characters.</summary>
    internal sealed record Outcome(int Code, string Output, string Error);
}
