using System.CommandLine;

namespace Mgmt.Cli.Verbs;

/// <summary>tags</summary>
internal static class TagsVerb
{
    /// <summary>The argument, by whose name completion knows it.</summary>
    public const string Action = "ACTION TAG";

    public static Command Create(CommandLine cli)
    {
        var vm = Symbols.Vm();
        var words = Symbols.Words(Action, "add TAG, del TAG, or list (default); list TAG tells whether it is set: 1 or 0", 2);
        string[] examples = ["mgmtctl tags work", "mgmtctl tags work add office", "mgmtctl tags work del office"];
        return cli.Verb("tags", "Show or change the tags of a VM", examples, [vm, words], (run, token) => run.Get(words)! switch
        {
            [] or ["list"] => ListAsync(run, run.Get(vm)!, token),
            ["list", var tag] => GetAsync(run, run.Get(vm)!, tag, token),
            ["add", var tag] => CallAsync(run, "mgmt.vm.tag.Set", run.Get(vm)!, tag, token),
            ["del", var tag] => CallAsync(run, "mgmt.vm.tag.Remove", run.Get(vm)!, tag, token),
            _ => throw new UsageException("tags takes add TAG, del TAG or list [TAG] after the VM"),
        });
    }

    private static async Task<int> ListAsync(Run run, string vm, CancellationToken cancellationToken)
    {
        var tags = await run.Daemon.LinesAsync("mgmt.vm.tag.List", "", vm, cancellationToken);
        run.Output.Table(["tag"], [.. tags.Select(tag => new object?[] { tag })]);
        return ExitCode.Done;
    }

    private static async Task<int> GetAsync(Run run, string vm, string tag, CancellationToken cancellationToken)
    {
        run.Output.Value("set", await run.Daemon.TextAsync("mgmt.vm.tag.Get", tag, vm, cancellationToken));
        return ExitCode.Done;
    }

    private static async Task<int> CallAsync(Run run, string method, string vm, string tag, CancellationToken cancellationToken)
    {
        await run.Daemon.CallAsync(method, tag, vm, "", cancellationToken);
        return ExitCode.Done;
    }
}
