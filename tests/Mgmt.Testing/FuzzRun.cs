using System.Diagnostics;
using System.Globalization;

namespace Mgmt.Testing;

/// <summary>How long tests go on that make their input by chance: a fixed number of seeds, or with MGMT_FUZZ_SECONDS new ones for a while.</summary>
public static class FuzzRun
{
    private static readonly TimeSpan Most = TimeSpan.FromSeconds(10);

    /// <summary>Whether this is `make fuzz`.</summary>
    public static bool IsLong => Limit is not null;

    private static TimeSpan? Limit =>
        int.TryParse(Environment.GetEnvironmentVariable("MGMT_FUZZ_SECONDS"), NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) ? TimeSpan.FromSeconds(seconds) : null;

    /// <summary>The seeds 0 to <paramref name="count"/> - 1; in a long run as many as ten seconds take (less when less is left to all), beginning anywhere.</summary>
    public static IEnumerable<int> Seeds(int count)
    {
        if (Limit is not { } limit)
        {
            return Enumerable.Range(0, count);
        }
        return For(limit < Most ? limit : Most);
    }

    /// <summary>Keeps an input that failed, and says where: below out/fuzz of the repository.</summary>
    public static string Keep(string name, ReadOnlySpan<byte> input)
    {
        var directory = Directory.CreateDirectory(Path.Combine(Repository.Root, "out", "fuzz")).FullName;
        var path = Path.Combine(directory, name);
        File.WriteAllBytes(path, input);
        return path;
    }

    private static IEnumerable<int> For(TimeSpan time)
    {
        var began = Stopwatch.GetTimestamp();
        for (var seed = Random.Shared.Next(1_000_000_000); Stopwatch.GetElapsedTime(began) < time; seed++)
        {
            yield return seed;
        }
    }
}
