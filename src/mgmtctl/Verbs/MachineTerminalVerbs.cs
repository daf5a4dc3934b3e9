using System.CommandLine;
using System.Text;
using System.Text.Json;
using Mgmt.Cli.Terminals;

namespace Mgmt.Cli.Verbs;

/// <summary>machine console, run</summary>
internal static class MachineTerminalVerbs
{
    public static Command Console(CommandLine cli)
    {
        var machine = MachineVerb.Argument();
        var bare = new Option<bool>("--bare") { Description = "A terminal with nothing at its other end; its path in the container is told on standard error" };
        return cli.Verb("console", "Log in to a container; Ctrl-] ends it", ["mgmtctl machine console web"], [machine, bare], async (run, token) =>
        {
            RequireTerminal(run);
            var wish = Line(json => json.WriteBoolean("login", !run.Get(bare)), run.Terminal.Size());
            await using var call = await run.Daemon.OpenAsync("mgmt.machine.Console", run.Get(machine)!, wish, endInput: false, token);
            await new FramedBridge(run, call) { TellPath = run.Get(bare) }.RunAsync(byKeys: true, input: null, token);
            return ExitCode.Done;
        });
    }

    public static Command Run(CommandLine cli)
    {
        var machine = MachineVerb.Argument();
        var command = new Argument<string[]>("COMMAND") { Description = "The program's path in the container, then its arguments (those that begin with - after --); the user's shell when not given, whose own exit status is not known", Arity = ArgumentArity.ZeroOrMore };
        var user = new Option<string>("--user") { Description = "Who runs it", HelpName = "USER", DefaultValueFactory = _ => "root" };
        var environment = new Option<string[]>("--env") { Description = "A variable for it", HelpName = "NAME=VALUE" };
        var input = new Option<bool>("--input", "-i") { Description = "Pass standard input on where it is no terminal" };
        var noStatus = new Option<bool>("--no-status") { Description = "Run it without a shell around it (for containers without /bin/sh): its exit status is not known" };
        string[] examples = ["mgmtctl machine run web", "mgmtctl machine run web /bin/ls -- -l /srv", "mgmtctl machine run web --user www --env LANG=C /usr/bin/id", "tar c . | mgmtctl machine run web -i /bin/tar -- x -C /srv"];
        return cli.Verb("run", "Run a program in a container, with its exit status; Ctrl-] ends it where there is a terminal", examples, [machine, user, environment, input, noStatus, command], async (run, token) =>
        {
            var words = run.Get(command) ?? [];
            var interactive = run.Terminal is { InputIsTerminal: true, OutIsTerminal: true };
            if (words.Length == 0)
            {
                RequireTerminal(run);
            }
            var status = words.Length > 0 && !run.Get(noStatus);
            var wish = Line(json => WriteProgram(json, run.Get(user)!, words, run.Get(environment) ?? [], status, plain: !interactive), interactive ? run.Terminal.Size() : default);
            await using var call = await run.Daemon.OpenAsync("mgmt.machine.Run", run.Get(machine)!, wish, endInput: false, token);
            var given = !interactive && run.Get(input) ? run.Terminal.OpenInput() : null;
            var ended = await new FramedBridge(run, call).RunAsync(interactive, given, token);
            return ended ?? (status ? ExitCode.NoStatus : ExitCode.Done);
        });
    }

    private static void RequireTerminal(Run run)
    {
        if (run.Terminal is not { InputIsTerminal: true, OutIsTerminal: true })
        {
            throw new UsageException("this needs a terminal on standard input and output");
        }
    }

    private static void WriteProgram(Utf8JsonWriter json, string user, string[] words, string[] environment, bool status, bool plain)
    {
        json.WriteString("user", user);
        WriteWords(json, "arguments", words);
        WriteWords(json, "environment", environment);
        json.WriteBoolean("status", status);
        json.WriteBoolean("plain", plain && status);
    }

    private static void WriteWords(Utf8JsonWriter json, string name, string[] words)
    {
        json.WriteStartArray(name);
        foreach (var word in words)
        {
            json.WriteStringValue(word);
        }
        json.WriteEndArray();
    }

    private static byte[] Line(Action<Utf8JsonWriter> write, (int Rows, int Columns) size)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            write(json);
            if (size is { Rows: > 0, Columns: > 0 })
            {
                json.WriteNumber("rows", size.Rows);
                json.WriteNumber("columns", size.Columns);
            }
            json.WriteEndObject();
        }
        return [.. buffer.ToArray(), (byte)'\n'];
    }
}
