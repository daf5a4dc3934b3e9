using System.CommandLine;
using Mgmt.Cli.Formats;

namespace Mgmt.Cli.Verbs;

/// <summary>pool ls, info, drivers</summary>
internal static class PoolVerb
{
    public static Command Create(CommandLine cli) =>
        cli.Group("pool", "Storage pools", ["mgmtctl pool ls", "mgmtctl pool info default", "mgmtctl pool drivers"], List(cli), Info(cli), Drivers(cli));

    private static Command List(CommandLine cli) => cli.Verb("ls", "List the pools", ["mgmtctl pool ls"], [], async (run, token) =>
    {
        var pools = await run.Daemon.LinesAsync("mgmt.pool.List", "", Daemon.Host, token);
        return await Symbols.InfoTableAsync(run, ["name", "driver", "size", "usage"], pools, pool => run.Daemon.TextAsync("mgmt.pool.Info", pool, Daemon.Host, token));
    });

    private static Command Info(CommandLine cli)
    {
        var pool = new Argument<string>("POOL") { Description = "The pool" };
        return cli.Verb("info", "Show everything about a pool", ["mgmtctl pool info default"], [pool], async (run, token) =>
        {
            run.Output.Facts(KeyValues.OfLines(await run.Daemon.TextAsync("mgmt.pool.Info", run.Get(pool)!, Daemon.Host, token)));
            return ExitCode.Done;
        });
    }

    private static Command Drivers(CommandLine cli) => cli.Verb("drivers", "List the drivers and what their pools are made with", ["mgmtctl pool drivers"], [], async (run, token) =>
    {
        var lines = await run.Daemon.LinesAsync("mgmt.pool.ListDrivers", "", Daemon.Host, token);
        run.Output.Table(["driver", "parameters"], [.. lines.Select(line => line.Split(' ', 2)).Select(parts => new object?[] { parts[0], parts.ElementAtOrDefault(1) ?? "" })]);
        return ExitCode.Done;
    });
}
