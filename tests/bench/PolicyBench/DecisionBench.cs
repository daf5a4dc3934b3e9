using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using Mgmt.Policy;

namespace Mgmt.Bench;

/// <summary>What one decision costs when the last rule makes it.</summary>
internal static class DecisionBench
{
    private const int Vms = 200;
    private const int Warmup = 200_000;
    private const int Samples = 500_000;

    public static int Run(string shape, int count)
    {
        var set = Compile(shape, count);
        var domains = Domains();
        var questions = Enumerable.Range(0, Vms).Select(i => new PolicyRequest("mgmt.vm.Start", "", "caller", $"vm-{i}")).ToArray();
        if (questions.Select(question => set.DecideCall(question, domains)).FirstOrDefault(decision => decision.Rule != $"30-bench.policy:{count}") is { Rule: not null } wrong)
        {
            throw new InvalidOperationException($"{wrong.Rule} decides, not the last rule");
        }
        Measure(set, domains, questions, new long[Warmup]);
        var ticks = new long[Samples];
        var before = GC.GetAllocatedBytesForCurrentThread();
        Measure(set, domains, questions, ticks);
        var bytes = GC.GetAllocatedBytesForCurrentThread() - before;
        Array.Sort(ticks);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{{\"p50_ns\":{Nanoseconds(ticks[Samples / 2])},\"p99_ns\":{Nanoseconds(ticks[Samples / 100 * 99])},\"bytes\":{bytes}}}"));
        return 0;
    }

    // Each one is timed, the clock included: what matters is the slow one in a hundred.
    private static void Measure(PolicySet set, SystemInfo domains, PolicyRequest[] questions, long[] ticks)
    {
        for (var i = 0; i < ticks.Length; i++)
        {
            var began = Stopwatch.GetTimestamp();
            set.DecideCall(questions[i % questions.Length], domains);
            ticks[i] = Stopwatch.GetTimestamp() - began;
        }
    }

    private static long Nanoseconds(long ticks) => ticks * (1_000_000_000 / Stopwatch.Frequency);

    private static PolicySet Compile(string shape, int count)
    {
        var text = new StringBuilder();
        for (var i = 1; i < count; i++)
        {
            text.Append(shape switch
            {
                "services" => $"mgmt.service-{i} * caller @tag:managed deny\n",
                "sources" => $"mgmt.vm.Start * other-{i} @tag:managed deny\n",
                "tags" => $"mgmt.vm.Start * caller @tag:tag-{i} deny\n",
                _ => throw new ArgumentException("services, sources or tags", nameof(shape)),
            });
        }
        text.Append("mgmt.vm.Start * caller @tag:managed allow\n");
        var files = new Dictionary<string, ReadOnlyMemory<byte>> { ["30-bench.policy"] = Encoding.UTF8.GetBytes(text.ToString()) };
        return PolicySet.Load(PolicySource.FromFiles(files), new PolicyOptions { FoldManagementServices = true, BuiltinRule = true }).Set!;
    }

    private static SystemInfo Domains() => new(Enumerable.Range(0, Vms).Select(i => Domain($"vm-{i}", i, "created-by-caller", "dev", "managed", "team")).Append(Domain("caller", Vms, "admin")));

    private static DomainInfo Domain(string name, int number, params string[] tags) => new()
    {
        Name = name,
        Type = "AppVM",
        Uuid = string.Create(CultureInfo.InvariantCulture, $"00000000-0000-4000-8000-{number:x12}"),
        Tags = ImmutableSortedSet.CreateRange(StringComparer.Ordinal, tags),
    };
}
