using System.CommandLine;

namespace Mgmt.Cli.Verbs;

/// <summary>clone</summary>
internal static class CloneVerb
{
    public const string PoolOf = "VOLUME=POOL";

    public static Command Create(CommandLine cli)
    {
        var vm = Symbols.Vm();
        var name = new Argument<string>("NEW") { Description = "The new VM's name" };
        var pool = new Option<string?>("--pool") { Description = "The pool of the new VM's volumes", HelpName = PoolVerb.PoolName };
        var poolOf = new Option<string[]>("--pool-of") { Description = "The pool of one of them; may repeat", HelpName = PoolOf };
        var progress = Symbols.Progress();
        string[] examples = ["mgmtctl clone work work-2", "mgmtctl clone debian debian-test --pool fast", "mgmtctl clone work spare --pool-of private=big"];
        return cli.Verb("clone", "Copy a VM, running or not, with its volumes and settings; its device assignments are not copied", examples, [vm, name, pool, poolOf, progress], async (run, token) =>
        {
            var pools = PoolWords(run.Get(pool), run.Get(poolOf) ?? []);
            var (source, made) = (run.Get(vm)!, run.Get(name)!);
            var call = new FollowedCall { Title = made, Operation = "clone", Vms = [.. new[] { source, made }.Distinct()], PlainLines = run.Get(progress) };
            await call.RunAsync(run,
                () => run.Daemon.CallAsync(pools.Length == 0 ? "mgmt.vm.Clone" : "mgmt.vm.CloneInPool", "", source, $"name={Symbols.Word(made)}{pools}", token), token);
            return ExitCode.Done;
        });
    }

    private static string PoolWords(string? pool, string[] poolOf)
    {
        if (pool is not null && poolOf.Length > 0)
        {
            throw new UsageException("--pool and --pool-of cannot be used together");
        }
        if (Array.Find(poolOf, word => word.Split('=') is not [{ Length: > 0 }, { Length: > 0 }]) is { } wrong)
        {
            throw new UsageException($"'{wrong}' is not VOLUME=POOL");
        }
        return (pool is null ? "" : " pool=" + Symbols.Word(pool)) + string.Concat(poolOf.Select(word => " pool:" + Symbols.Word(word)));
    }
}
