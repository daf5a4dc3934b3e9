using Mgmt.Cli.Formats;

namespace Mgmt.Cli.Verbs;

/// <summary>ls</summary>
internal static class ListVerb
{
    public static System.CommandLine.Command Create(CommandLine cli)
    {
        var vm = Symbols.OptionalVm();
        return cli.Verb("ls", "List the VMs, or one of them", ["mgmtctl ls", "mgmtctl ls work --json"], [vm], async (run, token) =>
        {
            var lines = await run.Daemon.LinesAsync("mgmt.vm.List", "", run.Get(vm) ?? Daemon.Host, token);
            run.Output.Table(["name", "class", "state"], [.. lines.Select(Row)]);
            return ExitCode.Done;
        });
    }

    /// <summary>SHAPE: <c>NAME class=CLASS state=STATE</c>, and keys that come later.</summary>
    private static object?[] Row(string line)
    {
        var words = KeyValues.OfWords(line);
        return [words[0].Key, words.Find("class"), words.Find("state")];
    }
}
