using System.Text;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Qemu.Tests;

/// <summary>The console of the real QEMU, with the real guest's serial port at the other end.</summary>
[Category("integration")]
public sealed class SerialConsoleTests
{
    [Test]
    public async Task A_console_says_what_was_printed_and_carries_bytes_both_ways_one_after_another_and_after_an_adoption()
    {
        GuestFiles.Require();
        using var patience = new CancellationTokenSource(QemuTestHost.Patience);
        var token = patience.Token;
        await using var host = new QemuTestHost();
        var backend = await host.OpenBackendAsync(token);
        var launch = host.NewLaunch("typed");
        var vm = await host.LaunchAsync(backend, launch, token);
        await vm.ContinueAsync(token);
        await QemuTestHost.AgentReadyAsync(vm, token);
        await vm.ShellAsync("echo printed before >/dev/ttyS0", token);
        await using (var console = await vm.OpenConsoleAsync(token))
        {
            await UntilAsync(console, "printed before", token);
            Assert.That((await Assert.ThrowsAsync<MgmtException>(() => vm.OpenConsoleAsync(token)))!.Code, Is.EqualTo(ErrorCode.MgmtBusyError));
            await TypedAsync(vm, console, "first", token);
        }
        await vm.ShellAsync("echo printed between >/dev/ttyS0", token);
        await using (var console = await vm.OpenConsoleAsync(token))
        {
            await UntilAsync(console, "printed between", token);
            await TypedAsync(vm, console, "second", token);
            // Let go of with the console open, as a daemon that is killed lets go.
            await vm.DisposeAsync();
        }
        var adopted = host.Own((await backend.AdoptAsync(QemuTestHost.RecordOf(launch), vm.Run, token))!);
        await QemuTestHost.AgentReadyAsync(adopted, token);
        await using (var console = await adopted.OpenConsoleAsync(token))
        {
            await TypedAsync(adopted, console, "third", token);
            await adopted.KillAsync(token);
            await UntilAsync(console, null, token);
        }
    }

    private static async Task TypedAsync(IRunningVm vm, Stream console, string word, CancellationToken token)
    {
        await vm.StartShellAsync("exec </dev/ttyS0 >/dev/ttyS0; echo listening; read word; echo heard $word.", token);
        await UntilAsync(console, "listening", token);
        await console.WriteAsync(Encoding.ASCII.GetBytes(word + "\n"), token);
        await UntilAsync(console, $"heard {word}.", token);
    }

    /// <summary>Reads until a text comes; null: to the end.</summary>
    private static async Task UntilAsync(Stream console, string? text, CancellationToken token)
    {
        var read = new StringBuilder();
        var buffer = new byte[4096];
        while (text is null || !read.ToString().Contains(text, StringComparison.Ordinal))
        {
            int n;
            try
            {
                n = await console.ReadAsync(buffer, token);
            }
            catch (IOException)
            {
                n = 0;
            }
            if (n == 0)
            {
                Assert.That(text, Is.Null, read.ToString());
                return;
            }
            read.Append(Encoding.ASCII.GetString(buffer, 0, n));
        }
    }
}
