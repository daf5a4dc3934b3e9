using System.Runtime.InteropServices;

namespace Mgmt.Daemon.Tests;

/// <summary>Signals to processes that a test started, and what /proc says of them.</summary>
internal static partial class TestSignal
{
    internal const int Kill = 9;
    internal const int Continue = 18;
    internal const int Stop = 19;

    internal static void Send(int pid, int signal)
    {
        if (SendSignal(pid, signal) != 0)
        {
            throw new IOException($"kill {pid}: {Marshal.GetLastPInvokeErrorMessage()}");
        }
    }

    /// <summary>When it started, as in /proc/PID/stat; null when it is gone or only waits to be reaped.</summary>
    internal static string? StartTicks(int pid)
    {
        try
        {
            // PID (NAME) STATE … STARTTIME, the 22nd; a name may have anything in it but ends at the last parenthesis.
            var stat = File.ReadAllText($"/proc/{pid}/stat");
            var words = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return words[0] is "Z" or "X" ? null : words[19];
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>Waits until it is gone.</summary>
    internal static async Task GoneAsync(int pid)
    {
        var began = StartTicks(pid);
        var until = Environment.TickCount64 + 10_000;
        while (StartTicks(pid) is { } ticks && ticks == began)
        {
            if (Environment.TickCount64 > until)
            {
                throw new TimeoutException($"process {pid} does not end");
            }
            await Task.Delay(10);
        }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int SendSignal(int pid, int signal);
}
