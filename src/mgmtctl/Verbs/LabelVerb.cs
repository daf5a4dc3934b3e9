using System.CommandLine;

namespace Mgmt.Cli.Verbs;

/// <summary>label ls, get, create, rm</summary>
internal static class LabelVerb
{
    public const string LabelName = "LABEL";

    public static Command Create(CommandLine cli) =>
        cli.Group("label", "Labels and their colours", ["mgmtctl label ls", "mgmtctl label create teal 0x008080", "mgmtctl label rm teal"],
            List(cli), Get(cli), Add(cli), Remove(cli));

    private static Command List(CommandLine cli) => cli.Verb("ls", "List the labels", ["mgmtctl label ls"], [], async (run, token) =>
    {
        var rows = new List<object?[]>();
        foreach (var name in await run.Daemon.LinesAsync("mgmt.label.List", "", Daemon.Host, token))
        {
            rows.Add([name, await run.Daemon.TextAsync("mgmt.label.Get", name, Daemon.Host, token), await run.Daemon.TextAsync("mgmt.label.Index", name, Daemon.Host, token)]);
        }
        run.Output.Table(["name", "color", "index"], rows);
        return ExitCode.Done;
    });

    private static Command Get(CommandLine cli)
    {
        var name = Name();
        return cli.Verb("get", "Show the colour of a label", ["mgmtctl label get red"], [name], async (run, token) =>
        {
            run.Output.Value("color", await run.Daemon.TextAsync("mgmt.label.Get", run.Get(name)!, Daemon.Host, token));
            return ExitCode.Done;
        });
    }

    private static Command Add(CommandLine cli)
    {
        var name = new Argument<string>("NAME") { Description = "The new label" };
        var color = new Argument<string>("COLOR") { Description = "0xRRGGBB or RRGGBB" };
        return cli.Verb("create", "Create a label", ["mgmtctl label create teal 0x008080"], [name, color], async (run, token) =>
        {
            var text = run.Get(color)!;
            await run.Daemon.CallAsync("mgmt.label.Create", run.Get(name)!, Daemon.Host, text.StartsWith("0x", StringComparison.Ordinal) ? text : "0x" + text, token);
            return ExitCode.Done;
        });
    }

    private static Command Remove(CommandLine cli)
    {
        var name = Name();
        return cli.Verb("rm", "Remove a label that no VM uses", ["mgmtctl label rm teal"], [name], async (run, token) =>
        {
            await run.Daemon.CallAsync("mgmt.label.Remove", run.Get(name)!, Daemon.Host, "", token);
            return ExitCode.Done;
        });
    }

    private static Argument<string> Name() => new(LabelName) { Description = "The label" };
}
