using System.CommandLine;
using System.Net.Sockets;

namespace Mgmt.Cli.Verbs;

/// <summary>console: the serial console of a VM on this terminal. SOURCE: docs/guest-agent.md, "Console".</summary>
internal static class ConsoleVerb
{
    /// <summary>Ctrl-].</summary>
    internal const byte Detach = 0x1d;

    public static Command Create(CommandLine cli)
    {
        var vm = Symbols.Vm();
        return cli.Verb("console", "The serial console of a VM; Ctrl-] leaves it", ["mgmtctl console work", "echo reboot | mgmtctl console work"], [vm], async (run, token) =>
        {
            using var over = CancellationTokenSource.CreateLinkedTokenSource(token);
            await using var console = await run.Daemon.ConsoleAsync(run.Get(vm)!, token);
            if (run.Terminal.InputIsTerminal)
            {
                run.Tell("Ctrl-] leaves the console");
            }
            await using var typed = run.Terminal.InputIsTerminal ? run.Terminal.OpenRawKeys() : run.Terminal.OpenInput();
            var typing = TypeAsync(typed, console, run.Terminal.InputIsTerminal, over);
            try
            {
                await PrintAsync(console, run.Terminal.Out, over.Token);
            }
            catch (OperationCanceledException) when (!token.IsCancellationRequested)
            {
                // Left.
            }
            finally
            {
                await over.CancelAsync();
                await typing;
            }
            return ExitCode.Done;
        });
    }

    /// <summary>As it is: it is the guest that has this terminal.</summary>
    private static async Task PrintAsync(Stream console, Stream output, CancellationToken cancellationToken)
    {
        var buffer = new byte[16 * 1024];
        for (int n; (n = await console.ReadAsync(buffer, cancellationToken)) > 0;)
        {
            await output.WriteAsync(buffer.AsMemory(0, n), cancellationToken);
            await output.FlushAsync(cancellationToken);
        }
    }

    /// <summary>Hands on what is typed, up to the key that leaves. The end of a pipe leaves the console open: what is printed is still wanted. Never throws.</summary>
    private static async Task TypeAsync(Stream typed, Stream console, bool byKeys, CancellationTokenSource over)
    {
        var buffer = new byte[4096];
        try
        {
            for (int n; (n = await typed.ReadAsync(buffer, over.Token)) > 0;)
            {
                var leave = byKeys ? Array.IndexOf(buffer, Detach, 0, n) : -1;
                await console.WriteAsync(buffer.AsMemory(0, leave < 0 ? n : leave), over.Token);
                if (leave >= 0)
                {
                    break;
                }
            }
            if (byKeys)
            {
                await over.CancelAsync();
            }
            else
            {
                ((NetworkStream)console).Socket.Shutdown(SocketShutdown.Send);
            }
        }
        catch (Exception error) when (error is OperationCanceledException or IOException or SocketException)
        {
            // The console ended.
        }
    }
}
