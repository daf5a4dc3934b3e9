using System.Diagnostics;
using System.Globalization;
using Mgmt.Policy;

namespace Mgmt.Bench;

/// <summary>Loading a set as the daemon does: from disk, parsed and compiled.</summary>
internal static class LoadBench
{
    private const int Again = 20;

    public static int Run(string directory)
    {
        var cold = Load(directory);
        var warm = Enumerable.Range(0, Again).Select(_ => Load(directory)).Order().ToArray();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{{\"cold_us\":{cold},\"warm_us\":{warm[Again / 2]}}}"));
        return 0;
    }

    private static long Load(string directory)
    {
        var began = Stopwatch.GetTimestamp();
        var load = PolicySet.Load(PolicySource.FromDirectories(new PolicyDirectory(directory)), new PolicyOptions { FoldManagementServices = true, BuiltinRule = true });
        var microseconds = (long)Stopwatch.GetElapsedTime(began).TotalMicroseconds;
        return load.Set is null ? throw new InvalidOperationException(load.Errors[0].ToString()) : microseconds;
    }
}
