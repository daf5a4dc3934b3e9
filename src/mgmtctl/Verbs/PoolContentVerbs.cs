using System.CommandLine;
using System.Text;
using Mgmt.Cli.Formats;

namespace Mgmt.Cli.Verbs;

/// <summary>pool usage, volumes</summary>
internal static class PoolContentVerbs
{
    private static readonly string[] s_sizes = ["size", "usage"];

    public static Command Usage(CommandLine cli)
    {
        var pool = PoolVerb.Argument();
        return cli.Verb("usage", "Show how full a pool is, by kind of data", ["mgmtctl pool usage default"], [pool], async (run, token) =>
        {
            var facts = KeyValues.OfLines(await run.Daemon.TextAsync("mgmt.pool.UsageDetails", run.Get(pool)!, Daemon.Host, token));
            run.Output.Facts(facts, [.. facts.Select(fact => fact.Key)]);
            return ExitCode.Done;
        });
    }

    public static Command Volumes(CommandLine cli)
    {
        var pool = PoolVerb.Argument();
        return cli.Verb("volumes", "List the volumes in a pool", ["mgmtctl pool volumes default"], [pool], async (run, token) =>
        {
            var name = run.Get(pool)!;
            var vids = await run.Daemon.LinesAsync("mgmt.pool.volume.List", name, Daemon.Host, token);
            return await Symbols.InfoTableAsync(run, ["vid", "size", "usage", "rw", "save_on_stop", "snap_on_start", "source"], s_sizes, vids,
                async vid => Encoding.UTF8.GetString((await run.Daemon.CallAsync("mgmt.pool.volume.Info", name, Daemon.Host, vid, token)).Span));
        });
    }
}
