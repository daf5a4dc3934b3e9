using System.CommandLine;
using Mgmt.Wire;

namespace Mgmt.Cli.Verbs;

/// <summary>notes</summary>
internal static class NotesVerb
{
    private static readonly Option<FileInfo?> File = new("--file") { Description = "Replace the notes by what is in a file", HelpName = "FILE" };

    public static Command Create(CommandLine cli)
    {
        var vm = Symbols.Vm();
        var text = new Argument<string?>("TEXT") { Description = "What replaces the notes; '' removes them", Arity = ArgumentArity.ZeroOrOne };
        string[] examples = ["mgmtctl notes work", "mgmtctl notes work 'for the audit, until June'", "mgmtctl notes work --file notes.txt", "mgmtctl notes work ''"];
        return cli.Verb("notes", "Show or replace the notes about a VM", examples, [vm, text, File], (run, token) => (run.Get(text), run.Get(File)) switch
        {
            (null, null) => ShowAsync(run, run.Get(vm)!, token),
            ({ } given, null) => SetAsync(run, run.Get(vm)!, new MemoryStream(System.Text.Encoding.UTF8.GetBytes(given)), token),
            (null, { } file) => SetAsync(run, run.Get(vm)!, file.OpenRead(), token),
            _ => throw new UsageException("TEXT and --file cannot be used together"),
        });
    }

    private static async Task<int> ShowAsync(Run run, string vm, CancellationToken cancellationToken)
    {
        var notes = await run.Daemon.CallAsync("mgmt.vm.notes.Get", "", vm, "", cancellationToken);
        if (run.Output.Json)
        {
            run.Output.Value("notes", System.Text.Encoding.UTF8.GetString(notes.Span));
        }
        else if (!notes.IsEmpty)
        {
            await run.Output.BytesAsync(notes, cancellationToken);
        }
        return ExitCode.Done;
    }

    private static async Task<int> SetAsync(Run run, string vm, Stream notes, CancellationToken cancellationToken)
    {
        await using (notes)
        {
            await run.Daemon.CallAsync(new RequestHeader("mgmt.vm.notes.Set", "", Daemon.Host, DestinationKind.Name, vm), notes, null, cancellationToken);
        }
        return ExitCode.Done;
    }
}
