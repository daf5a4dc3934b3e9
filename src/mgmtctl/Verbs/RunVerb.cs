using System.CommandLine;
using Mgmt.Core;

namespace Mgmt.Cli.Verbs;

/// <summary>run: a program in a guest, with its input, output and exit status. SOURCE: docs/guest-agent.md, "run".</summary>
internal static class RunVerb
{
    /// <summary>What one call carries, before base64.</summary>
    private const int MaxInputBytes = 1 << 20;
    private static readonly Argument<string[]> Words = new("CMD") { Description = "A program and its arguments; after -- when they begin with -", Arity = ArgumentArity.OneOrMore };
    private static readonly Option<bool> Stdin = new("--stdin") { Description = "Give it standard input also from a terminal; from a pipe or file it always gets it" };
    private static readonly Option<bool> NoStdin = new("--no-stdin") { Description = "Give it no input" };
    private static readonly Option<bool> Shell = new("--shell") { Description = "CMD is a line for the guest's /bin/sh" };
    private static readonly Option<bool> Captured = new("--captured") { Description = "Show the output when the program has ended: nothing of it is written to files in the VM" };
    private static readonly Option<string[]> Env = new("--env") { Description = "A variable of its environment, which then holds these only", HelpName = "NAME=VALUE", Arity = ArgumentArity.ZeroOrMore };

    public static Command Create(CommandLine cli)
    {
        var vm = Symbols.Vm();
        string[] examples =
        [
            "mgmtctl run work uname -- -a", "mgmtctl run work --shell 'ps | wc -l'", "mgmtctl run work tee /tmp/notes < notes", "mgmtctl run work --no-stdin --env LANG=C /usr/bin/env",
        ];
        return cli.Verb("run", "Run a program in a VM and end as it does: its exit status, 128+N for signal N; 125 when it could not be run, 126 denied by policy", examples,
            [vm, Words, Stdin, NoStdin, Shell, Captured, Env], (run, token) => GuardAsync(run, run.Get(vm)!, token));
    }

    private static async Task<int> GuardAsync(Run run, string vm, CancellationToken cancellationToken)
    {
        try
        {
            return await ActAsync(run, vm, cancellationToken);
        }
        catch (MgmtException error)
        {
            run.Tell(error.Message);
            return error.Code == ErrorCode.PermissionDenied ? ExitCode.Denied : ExitCode.NoStatus;
        }
        catch (IOException error)
        {
            run.Tell(error.Message);
            return ExitCode.NoStatus;
        }
    }

    private static async Task<int> ActAsync(Run run, string vm, CancellationToken cancellationToken)
    {
        if (run.Get(Stdin) && run.Get(NoStdin))
        {
            throw new UsageException("--stdin and --no-stdin cannot be used together");
        }
        var words = run.Get(Words)!;
        if (run.Get(Shell))
        {
            words = ["/bin/sh", "-c", string.Join(' ', words)];
        }
        var isGiven = run.Get(Stdin) || !(run.Get(NoStdin) || run.Terminal.InputIsTerminal);
        var input = isGiven ? await InputAsync(run, cancellationToken) : default(ReadOnlyMemory<byte>?);
        var program = new GuestProgram(words[0], words.Length > 1 ? words[1..] : null, run.Get(Env) is { Length: > 0 } variables ? variables : null, input, CaptureOutput: true);
        var guest = new Guest(run.Daemon, vm, run.Time);
        return !run.Get(Captured) && await StreamedProgram.TryPrepareAsync(guest, program, run.Time, cancellationToken) is { } streamed
            ? await StreamAsync(run, streamed, program, cancellationToken)
            : await CaptureAsync(run, guest, program, cancellationToken);
    }

    private static async Task<int> StreamAsync(Run run, StreamedProgram streamed, GuestProgram program, CancellationToken cancellationToken)
    {
        var status = await streamed.RunAsync(program, bytes => run.Output.PieceAsync(bytes, cancellationToken), bytes => run.ErrorPieceAsync(bytes, cancellationToken), run.Tell, cancellationToken);
        run.Output.EndPieces();
        return status;
    }

    private static async Task<int> CaptureAsync(Run run, Guest guest, GuestProgram program, CancellationToken cancellationToken)
    {
        var end = await guest.RunAsync(program, cancellationToken);
        if (end.ErrData is { IsEmpty: false } errors)
        {
            await run.ErrorBytesAsync(errors, cancellationToken);
        }
        if (end.OutData is { IsEmpty: false } output)
        {
            await run.Output.BytesAsync(output, cancellationToken);
        }
        if (end.OutTruncated == true || end.ErrTruncated == true)
        {
            run.Tell("the output is cut off: the guest agent keeps 16 MiB");
        }
        return end.Status;
    }

    private static async Task<ReadOnlyMemory<byte>> InputAsync(Run run, CancellationToken cancellationToken)
    {
        await using var source = run.Terminal.OpenInput();
        using var input = new MemoryStream();
        var buffer = new byte[64 * 1024];
        for (int n; (n = await source.ReadAsync(buffer, cancellationToken)) > 0;)
        {
            input.Write(buffer, 0, n);
            if (input.Length > MaxInputBytes)
            {
                throw new IOException("the input is longer than 1 MiB, all that the guest agent takes in one command; copy it with mgmtctl cp");
            }
        }
        return input.ToArray();
    }
}
