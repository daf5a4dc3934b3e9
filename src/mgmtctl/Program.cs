using Mgmt.Cli.Verbs;

namespace Mgmt.Cli;

/// <summary>The whole of mgmtctl: its verbs, each in a file of its own.</summary>
internal static class Program
{
    private static Task<int> Main(string[] args) => RunAsync(Terminal.OfProcess(), args, TimeProvider.System, CancellationToken.None);

    internal static Task<int> RunAsync(Terminal terminal, IReadOnlyList<string> args, TimeProvider time, CancellationToken cancellationToken) =>
        Build(terminal, time).RunAsync(args, cancellationToken);

    internal static CommandLine Build(Terminal terminal, TimeProvider time)
    {
        var cli = new CommandLine(terminal, time);
        cli.Add(
            ListVerb.Create(cli),
            PowerVerbs.Start(cli),
            PowerVerbs.Shutdown(cli),
            PowerVerbs.Kill(cli),
            PowerVerbs.Pause(cli),
            PowerVerbs.Unpause(cli),
            PowerVerbs.Suspend(cli),
            PowerVerbs.Resume(cli),
            WaitVerb.Create(cli),
            CreateVerb.Create(cli),
            CloneVerb.Create(cli),
            DisposableVerb.Create(cli),
            RemoveVerb.Create(cli),
            PrefsVerb.Create(cli),
            FeaturesVerb.Create(cli),
            TagsVerb.Create(cli),
            NotesVerb.Create(cli),
            LabelVerb.Create(cli),
            VolumeVerb.Create(cli),
            PoolVerb.Create(cli),
            MachineVerb.Create(cli),
            DeviceVerb.Create(cli),
            FirewallVerb.Create(cli),
            PolicyVerb.Create(cli),
            EventsVerb.Create(cli),
            AgentVerb.Create(cli),
            RunVerb.Create(cli),
            CopyVerb.Create(cli),
            ConsoleVerb.Create(cli),
            StatusVerb.Create(cli),
            TopVerb.Create(cli),
            CallsVerb.Create(cli),
            CallVerb.Create(cli),
            ExportVerb.Create(cli),
            CompletionVerb.Script(cli),
            CompletionVerb.Words(cli));
        return cli;
    }
}
