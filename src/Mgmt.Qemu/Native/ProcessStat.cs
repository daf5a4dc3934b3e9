using System.Globalization;

namespace Mgmt.Qemu;

/// <summary>What /proc says of a process. StartTicks and ProcessorTime come from clock ticks, 100 a second on Linux.</summary>
internal sealed record ProcessStat(char State, TimeSpan ProcessorTime, ulong StartTicks)
{
    private const int TicksPerSecond = 100;

    /// <summary>This boot's id.</summary>
    public static string BootId { get; } = File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim();

    /// <summary>Reads /proc/PID/stat. Null: no such process. SOURCE: proc(5): fields 3, 14, 15 and 22, after the last ')'.</summary>
    public static ProcessStat? TryRead(int pid)
    {
        string text;
        try
        {
            text = File.ReadAllText($"/proc/{pid}/stat");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
        var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
        var ticks = ulong.Parse(fields[11], CultureInfo.InvariantCulture) + ulong.Parse(fields[12], CultureInfo.InvariantCulture);
        return new ProcessStat(fields[0][0], TimeSpan.FromSeconds((double)ticks / TicksPerSecond), ulong.Parse(fields[19], CultureInfo.InvariantCulture));
    }

    /// <summary>The file it executes, or null when that cannot be read.</summary>
    public static string? Executable(int pid)
    {
        try
        {
            return File.ResolveLinkTarget($"/proc/{pid}/exe", returnFinalTarget: false)?.FullName;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
