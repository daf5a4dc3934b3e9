using System.ComponentModel;
using System.Diagnostics;
using Mgmt.Core;

namespace Mgmt.Cli.Verbs;

/// <summary>The program dot, which turns graphs into pictures.</summary>
internal static class Graphviz
{
    private const string Program = "dot";

    /// <summary>Draws a graph in the DOT language. ERRORS: MgmtUnsupportedError without the program; IOException with what it says.</summary>
    public static async Task<byte[]> DrawAsync(byte[] graph, string format, CancellationToken cancellationToken)
    {
        using var process = Start("-T" + format);
        try
        {
            // All three at once: each may wait for another.
            var complaint = process.StandardError.ReadToEndAsync(cancellationToken);
            using var drawn = new MemoryStream();
            var drawing = process.StandardOutput.BaseStream.CopyToAsync(drawn, cancellationToken);
            await FeedAsync(process, graph, cancellationToken);
            await drawing;
            await process.WaitForExitAsync(cancellationToken);
            return process.ExitCode == 0 ? drawn.ToArray() : throw new IOException($"{Program} ended with {process.ExitCode}: {(await complaint).Trim()}");
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill();
            }
        }
    }

    private static async Task FeedAsync(Process process, byte[] graph, CancellationToken cancellationToken)
    {
        try
        {
            await process.StandardInput.BaseStream.WriteAsync(graph, cancellationToken);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It ended before it read everything; its exit status says why.
        }
    }

    private static Process Start(string option)
    {
        try
        {
            return Process.Start(new ProcessStartInfo(Program, [option]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true })!;
        }
        catch (Win32Exception error)
        {
            throw new MgmtException(error, ErrorCode.MgmtUnsupportedError, "--svg needs the program %s of Graphviz (Debian package graphviz), and it cannot be started", Program);
        }
    }
}
