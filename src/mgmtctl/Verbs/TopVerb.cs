using System.CommandLine;
using System.Globalization;
using Mgmt.Cli.Formats;
using Mgmt.Core;

namespace Mgmt.Cli.Verbs;

/// <summary>
/// top: what running VMs use, round after round: on a terminal one table that is drawn anew, elsewhere the lines of each round (in JSON an array for each). The daemon
/// sends the events of a round together.
/// </summary>
internal static class TopVerb
{
    private const string Clear = "\u001b[H\u001b[J";
    private static readonly string[] s_columns = ["vm", "cpu", "memory", "assigned", "vcpus", "cpu_ms"];

    private static readonly Option<bool> Once = new("--once") { Description = "Show one round, in which processor time was measured, and end" };

    public static Command Create(CommandLine cli)
    {
        var vm = Symbols.OptionalVm();
        string[] examples = ["mgmtctl top", "mgmtctl top work", "mgmtctl top --once --json"];
        return cli.Verb("top", "Show what running VMs use, again and again: CPU in percent of all its processors, memory, processor time in milliseconds", examples, [vm, Once], async (run, token) =>
        {
            var destination = run.Get(vm) ?? Daemon.Host;
            // The first round has no processor time yet, and of VMs that do not run comes none at all.
            var left = run.Get(Once) ? 2 : int.MaxValue;
            if (left == 2 && !(await run.Daemon.LinesAsync("mgmt.vm.List", "", destination, token)).Any(IsRunning))
            {
                run.Output.Table(s_columns, []);
                return ExitCode.Done;
            }
            await using var rounds = RoundsAsync(run, destination, token).GetAsyncEnumerator(token);
            while (await rounds.MoveNextAsync())
            {
                left--;
                if (left > 0 && run.Get(Once))
                {
                    continue;
                }
                await DrawAsync(run, rounds.Current, token);
                if (left == 0)
                {
                    break;
                }
            }
            return ExitCode.Done;
        });
    }

    private static async Task DrawAsync(Run run, IReadOnlyList<MgmtEvent> round, CancellationToken cancellationToken)
    {
        if (run.Terminal.OutIsTerminal && !run.Output.Json && !run.Get(Once))
        {
            run.Output.Part(Clear);
        }
        run.Output.Table(s_columns, [.. round.OrderBy(usage => usage.Subject, StringComparer.Ordinal).Select(Row)]);
        await run.Output.FlushAsync(cancellationToken);
    }

    /// <summary>The events of a VM each that came together; a VM that comes again begins the next round.</summary>
    private static async IAsyncEnumerable<IReadOnlyList<MgmtEvent>> RoundsAsync(
        Run run, string destination, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var round = new List<MgmtEvent>();
        await using var events = run.Daemon.StatsAsync(destination, cancellationToken).GetAsyncEnumerator(cancellationToken);
        while (true)
        {
            var next = events.MoveNextAsync();
            if (!next.IsCompleted && round.Count > 0)
            {
                yield return round;
                round = [];
            }
            if (!await next)
            {
                break;
            }
            if (events.Current.Name != "vm-stats")
            {
                continue;
            }
            if (round.Exists(usage => usage.Subject == events.Current.Subject))
            {
                yield return round;
                round = [];
            }
            round.Add(events.Current);
        }
        if (round.Count > 0)
        {
            yield return round;
        }
    }

    private static bool IsRunning(string line) => KeyValues.OfWords(line).Find("state") is "Running" or "Paused" or "Suspended" or "Transient" or "Halting";

    private static object?[] Row(MgmtEvent usage) =>
    [
        usage.Subject, Number(usage["cpu_usage"]), Bytes(usage["memory_kb"]), Bytes(usage["memory_assigned_total"]), Number(usage["online_vcpus"]), Number(usage["cpu_time"]),
    ];

    private static object? Number(string? text) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : text;

    private static object? Bytes(string? kib) => Number(kib) is long number and < long.MaxValue / 1024 ? new ByteSize(number * 1024) : kib;
}
