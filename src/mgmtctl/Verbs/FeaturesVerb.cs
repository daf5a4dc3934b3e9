using System.CommandLine;

namespace Mgmt.Cli.Verbs;

/// <summary>features</summary>
internal static class FeaturesVerb
{
    /// <summary>The argument, by whose name completion knows it.</summary>
    public const string Feature = "NAME VALUE";

    public static Command Create(CommandLine cli)
    {
        var vm = Symbols.Vm();
        var words = Symbols.Words(Feature, "The feature, and what to set it to; an empty value means no", 2);
        var unset = new Option<bool>("--unset") { Description = "Remove the feature" };
        string[] examples = ["mgmtctl features work", "mgmtctl features work service.cups 1", "mgmtctl features work service.cups --unset"];
        return cli.Verb("features", "Show or change the features of a VM", examples, [vm, words, unset], (run, token) =>
            (run.Get(words)!, run.Get(unset)) switch
            {
                ([], false) => ListAsync(run, run.Get(vm)!, token),
                ([var name], false) => GetAsync(run, run.Get(vm)!, name, token),
                ([var name], true) => CallAsync(run, "mgmt.vm.feature.Remove", run.Get(vm)!, name, "", token),
                ([var name, var value], false) => CallAsync(run, "mgmt.vm.feature.Set", run.Get(vm)!, name, value, token),
                _ => throw new UsageException("--unset takes the name of a feature and nothing else"),
            });
    }

    private static async Task<int> ListAsync(Run run, string vm, CancellationToken cancellationToken)
    {
        var rows = new List<object?[]>();
        foreach (var name in await run.Daemon.LinesAsync("mgmt.vm.feature.List", "", vm, cancellationToken))
        {
            rows.Add([name, await run.Daemon.TextAsync("mgmt.vm.feature.Get", name, vm, cancellationToken)]);
        }
        run.Output.Table(["name", "value"], rows);
        return ExitCode.Done;
    }

    private static async Task<int> GetAsync(Run run, string vm, string name, CancellationToken cancellationToken)
    {
        run.Output.Value("value", await run.Daemon.TextAsync("mgmt.vm.feature.Get", name, vm, cancellationToken));
        return ExitCode.Done;
    }

    private static async Task<int> CallAsync(Run run, string method, string vm, string name, string value, CancellationToken cancellationToken)
    {
        await run.Daemon.CallAsync(method, name, vm, value, cancellationToken);
        return ExitCode.Done;
    }
}
