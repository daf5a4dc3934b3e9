using System.CommandLine;
using System.Globalization;
using System.Text;
using Mgmt.Core;

namespace Mgmt.Cli.Verbs;

/// <summary>pool check: what pools hold against what is recorded; 1, and a line on standard error, when something is left that is not as recorded.</summary>
internal static class PoolCheckVerb
{
    public static Command Create(CommandLine cli)
    {
        var pool = PoolVerb.Optional();
        var mend = new Option<bool>("--mend") { Description = "Finish or take back unfinished work, and put recorded sizes right; what no record names is never deleted" };
        string[] examples = ["mgmtctl pool check", "mgmtctl pool check default --mend"];
        return cli.Verb("check", "Compare pools with the records; exit status 1, and the number of findings on standard error, when some are left", examples, [pool, mend], async (run, token) =>
        {
            var findings = new List<(string Pool, Finding Finding)>();
            foreach (var name in await PoolVerb.NamedOrAllAsync(run, run.Get(pool), token))
            {
                var answer = await run.Daemon.CallAsync("mgmt.pool.Check", name, Daemon.Host, run.Get(mend) ? "mend" : "", token);
                findings.AddRange(Encoding.UTF8.GetString(answer.Span).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => (name, Finding.Parse(line))));
            }
            run.Output.Table(["pool", "kind", "what", "mended", "message"],
                [.. findings.Select(found => new object?[] { found.Pool, found.Finding.Kind, found.Finding.What, found.Finding.Mended, found.Finding.Message })]);
            if (findings.Count(found => !found.Finding.Mended) is not (> 0 and var left))
            {
                return ExitCode.Done;
            }
            run.Tell($"pool check: {(left == 1 ? "1 finding is" : string.Create(CultureInfo.InvariantCulture, $"{left} findings are"))} left");
            return ExitCode.Refused;
        });
    }

    /// <summary><code>finding = kind SP what SP "mended=" ( "yes" | "no" ) SP message      what may hold spaces</code>ERRORS: ProtocolError.</summary>
    private sealed record Finding(string Kind, string What, bool Mended, string Message)
    {
        private const string Key = " mended=";

        public static Finding Parse(string line)
        {
            var space = line.IndexOf(' ', StringComparison.Ordinal);
            var at = space < 0 ? -1 : line.IndexOf(Key, space + 1, StringComparison.Ordinal);
            return at > 0 && line[(at + Key.Length)..].Split(' ', 2) is [("yes" or "no") and var mended, var message]
                ? new(line[..space], line[(space + 1)..at], mended == "yes", message)
                : throw new MgmtException(ErrorCode.ProtocolError, "The daemon's answer is no finding: %s", line);
        }
    }
}
