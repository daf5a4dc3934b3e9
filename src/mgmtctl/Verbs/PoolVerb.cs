using System.CommandLine;
using Mgmt.Cli.Formats;

namespace Mgmt.Cli.Verbs;

/// <summary>pool: ls, info and drivers; the other verbs are in the files beside.</summary>
internal static class PoolVerb
{
    /// <summary>Completion knows pools and drivers by the name of the argument.</summary>
    public const string PoolName = "POOL";
    public const string DriverName = "DRIVER";

    private static readonly string[] s_sizes = ["size", "usage"];

    public static Command Create(CommandLine cli)
    {
        string[] examples = ["mgmtctl pool ls", "mgmtctl pool add fast file-reflink dir_path=/var/lib/mgmtd/pools/fast", "mgmtctl pool check --mend", "mgmtctl pool drivers"];
        return cli.Group("pool", "Storage pools", examples, List(cli), Info(cli), Drivers(cli), PoolChangeVerbs.Add(cli), PoolChangeVerbs.Remove(cli), PoolChangeVerbs.Set(cli),
            PoolContentVerbs.Usage(cli), PoolContentVerbs.Volumes(cli), PoolCheckVerb.Create(cli), PoolImageVerbs.Create(cli), PoolImageVerbs.PoolLimit(cli));
    }

    public static Argument<string> Argument() => new(PoolName) { Description = "The pool" };

    public static Argument<string?> Optional() => new(PoolName) { Description = "The pool; all of them when not given", Arity = ArgumentArity.ZeroOrOne };

    /// <summary>The pool that was named, else all.</summary>
    public static async Task<string[]> NamedOrAllAsync(Run run, string? pool, CancellationToken cancellationToken) =>
        pool is null ? await run.Daemon.LinesAsync("mgmt.pool.List", "", Daemon.Host, cancellationToken) : [pool];

    private static Command List(CommandLine cli) => cli.Verb("ls", "List the pools", ["mgmtctl pool ls"], [], async (run, token) =>
    {
        var pools = await run.Daemon.LinesAsync("mgmt.pool.List", "", Daemon.Host, token);
        return await Symbols.InfoTableAsync(run, ["name", "driver", "size", "usage"], s_sizes, pools, pool => run.Daemon.TextAsync("mgmt.pool.Info", pool, Daemon.Host, token));
    });

    private static Command Info(CommandLine cli)
    {
        var pool = Argument();
        return cli.Verb("info", "Show everything about a pool", ["mgmtctl pool info default"], [pool], async (run, token) =>
        {
            run.Output.Facts(KeyValues.OfLines(await run.Daemon.TextAsync("mgmt.pool.Info", run.Get(pool)!, Daemon.Host, token)), s_sizes);
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
