using System.CommandLine;
using System.Text;
using Mgmt.Policy;

namespace Mgmt.Cli.Verbs;

/// <summary>policy graph</summary>
internal static class PolicyGraphVerb
{
    private static readonly Option<string[]> Service = new("--service") { Description = "Draw this service only; may be given again", HelpName = "SERVICE" };
    private static readonly Option<string[]> Source = new("--source") { Description = "Draw calls of this VM only; may be given again (default: of all but dom0)", HelpName = "VM" };
    private static readonly Option<string[]> Target = new("--target") { Description = "Draw calls about this VM only; may be given again", HelpName = "VM" };
    private static readonly Option<bool> IncludeAsk = new("--include-ask") { Description = "Draw what is asked about, too, in orange; what is allowed is red" };
    private static readonly Option<bool> SkipLabels = new("--skip-labels") { Description = "Leave out which calls an arrow stands for" };
    private static readonly Option<bool> Svg = new("--svg") { Description = "Write a picture, drawn by dot of Graphviz, instead of its source" };
    private static readonly Option<string?> File = new("--output") { Description = "Write to this file instead of standard output", HelpName = "FILE" };

    public static Command Create(CommandLine cli) =>
        cli.Verb("graph", "Draw who may call whom, for Graphviz", ["mgmtctl policy graph --service mgmt.vm.Start --svg --output policy.svg", "mgmtctl policy graph --include-ask --source work | dot -Tpng > policy.png"],
            [Service, Source, Target, IncludeAsk, SkipLabels, Svg, File, PolicyInputs.Directories, PolicyInputs.SystemInfo], async (run, token) =>
        {
            if (await PolicyInputs.LoadAsync(run, token) is not { } set)
            {
                return ExitCode.Refused;
            }
            var graph = Encoding.UTF8.GetBytes(PolicyGraph.Write(set, await PolicyInputs.DomainsAsync(run, token), Options(run)));
            var drawn = run.Get(Svg) ? await Graphviz.DrawAsync(graph, "svg", token) : graph;
            if (run.Get(File) is { } file)
            {
                await System.IO.File.WriteAllBytesAsync(file, drawn, token);
            }
            else
            {
                await run.Output.BytesAsync(drawn, token);
            }
            return ExitCode.Done;
        });

    private static PolicyGraphOptions Options(Run run) => new()
    {
        Services = run.Get(Service) ?? [],
        Sources = run.Get(Source) ?? [],
        Targets = run.Get(Target) ?? [],
        IncludeAsk = run.Get(IncludeAsk),
        Labels = !run.Get(SkipLabels),
    };
}
