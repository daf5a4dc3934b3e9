using Mgmt.Core;

namespace Mgmt.Qemu;

/// <summary>Finds processes of ours by identity: boot, pid, start time and what they execute.</summary>
internal static class QemuProcess
{
    /// <summary>
    /// Opens the process of a run. Null: gone for certain. ERRORS: MgmtUnavailableError when a process has that pid and start time
    /// and is no QEMU, or cannot be looked at.
    /// </summary>
    public static PidFd? TryOpen(int pid, ulong startTicks, string bootId)
    {
        if (bootId != ProcessStat.BootId || PidFd.TryOpen(pid) is not { } process)
        {
            return null;
        }
        // The descriptor came first: what /proc says of the pid now holds for it as long as it has not ended.
        if (ProcessStat.TryRead(pid) is not { } stat || stat.StartTicks != startTicks || process.HasExited())
        {
            process.Dispose();
            return null;
        }
        if (!IsQemu(ProcessStat.Executable(pid)))
        {
            var gone = process.HasExited();
            process.Dispose();
            return gone ? null : throw new MgmtException(ErrorCode.MgmtUnavailableError, "the VM's process cannot be recognized");
        }
        return process;
    }

    /// <summary>
    /// Looks for a process whose command line holds the mark of a start (<see cref="Mark"/>): for a daemon that died between making
    /// a process and writing down its pid. Gives pid and start ticks.
    /// </summary>
    public static (int Pid, ulong StartTicks)? FindByMark(Guid startGuid)
    {
        var mark = Mark(startGuid);
        foreach (var entry in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(entry), out var pid) && CommandLine(pid).Contains(mark)
                && IsQemu(ProcessStat.Executable(pid)) && ProcessStat.TryRead(pid) is { } stat)
            {
                return (pid, stat.StartTicks);
            }
        }
        return null;
    }

    /// <summary>An argument of QEMU's that does nothing but say which start the process belongs to.</summary>
    public static string Mark(Guid startGuid) => $"type=11,value=mgmt-start:{startGuid:D}";

    private static string[] CommandLine(int pid)
    {
        try
        {
            return File.ReadAllText($"/proc/{pid}/cmdline").Split('\0');
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    // setpriv: the moment before it becomes QEMU.
    private static bool IsQemu(string? executable) =>
        Path.GetFileName(executable) is { } name && (name.StartsWith("qemu-system-", StringComparison.Ordinal) || name == "setpriv");
}
