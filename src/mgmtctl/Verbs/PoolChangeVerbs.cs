using System.CommandLine;

namespace Mgmt.Cli.Verbs;

/// <summary>pool add, rm, set</summary>
internal static class PoolChangeVerbs
{
    public const string Setting = "KEY=VALUE";

    public static Command Add(CommandLine cli)
    {
        var name = new Argument<string>("NAME") { Description = "The new pool's name" };
        var driver = new Argument<string>(PoolVerb.DriverName) { Description = "Its driver, see 'mgmtctl pool drivers'" };
        var parameters = new Argument<string[]>(Setting) { Description = "What the driver takes", Arity = ArgumentArity.ZeroOrMore };
        string[] examples = ["mgmtctl pool add big qcow2", "mgmtctl pool add fast file-reflink dir_path=/var/lib/mgmtd/pools/fast revisions_to_keep=2", "mgmtctl pool add thin lvm_thin volume_group=vg thin_pool=pool"];
        return cli.Verb("add", "Add a pool", examples, [name, driver, parameters], async (run, token) =>
        {
            var lines = (run.Get(parameters) ?? []).Select(Line).Prepend(Line("name=" + run.Get(name)));
            await run.Daemon.CallAsync("mgmt.pool.Add", run.Get(driver)!, Daemon.Host, string.Concat(lines), token);
            return ExitCode.Done;
        });
    }

    public static Command Remove(CommandLine cli)
    {
        var pools = new Argument<string[]>(PoolVerb.PoolName) { Description = "The pools", Arity = ArgumentArity.OneOrMore };
        return cli.Verb("rm", "Remove pools that no volume is in; what lies in their directories stays", ["mgmtctl pool rm fast"], [pools], (run, token) =>
            run.EachAsync(run.Get(pools)!, together: false, pool => run.Daemon.CallAsync("mgmt.pool.Remove", pool, Daemon.Host, "", token)));
    }

    public static Command Set(CommandLine cli)
    {
        var pool = PoolVerb.Argument();
        var name = new Argument<string>("NAME") { Description = "revisions_to_keep or ephemeral_volatile" };
        name.AcceptOnlyFromAmong("revisions_to_keep", "ephemeral_volatile");
        var value = new Argument<string>(Symbols.SettingValue) { Description = "A number (-1: VMs write volumes themselves and nothing is kept), or yes or no" };
        string[] examples = ["mgmtctl pool set default revisions_to_keep 3", "mgmtctl pool set default ephemeral_volatile yes"];
        return cli.Verb("set", "Change what a pool's volumes do that do not say so themselves", examples, [pool, name, value], async (run, token) =>
        {
            var setting = run.Get(name)!;
            await run.Daemon.CallAsync("mgmt.pool.Set." + setting, run.Get(pool)!, Daemon.Host, VolumeContentVerbs.Value(setting, run.Get(value)!), token);
            return ExitCode.Done;
        });
    }

    private static string Line(string text) => text.IndexOf('=', StringComparison.Ordinal) <= 0 || text.Contains('\n', StringComparison.Ordinal)
        ? throw new UsageException($"'{text}' is not KEY=VALUE")
        : text + "\n";
}
