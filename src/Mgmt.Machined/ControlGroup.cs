namespace Mgmt.Machined;

/// <summary>Where a process sits. SOURCE: cgroups(7), /proc/PID/cgroup: lines <c>ID:CONTROLLERS:PATH</c>.</summary>
internal static class ControlGroup
{
    /// <summary>Whether the process is in the control group of that unit. False when it is gone.</summary>
    public static bool IsIn(int pid, string unit)
    {
        try
        {
            return File.ReadLines($"/proc/{pid}/cgroup").Any(line => line.EndsWith("/" + unit, StringComparison.Ordinal));
        }
        catch (IOException)
        {
            return false;
        }
    }
}
