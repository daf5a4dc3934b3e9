using System.Diagnostics;
using System.Text;
using Mgmt.Core;

namespace Mgmt.Cli.Verbs;

/// <summary>policy edit: a copy of a file in an editor, and back with the token it was read with. What was typed is never lost.</summary>
internal sealed class PolicyEditing(Run run, IRuleFiles files, string name, bool include)
{
    private StreamReader? _answers;

    public async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        var (token, before) = await ReadAsync(cancellationToken);
        // A directory of one's own, so that nobody else sees or changes the copy, and a name that editors know the colours of.
        var directory = Directory.CreateTempSubdirectory("mgmtctl-").FullName;
        var copy = Path.Join(directory, Path.GetFileName(name) + ".policy");
        await File.WriteAllBytesAsync(copy, before, cancellationToken);
        while (true)
        {
            await OpenEditorAsync(copy, cancellationToken);
            var after = await File.ReadAllBytesAsync(copy, cancellationToken);
            if (before.Span.SequenceEqual(after))
            {
                run.Tell($"{name} is unchanged");
                Directory.Delete(directory, recursive: true);
                return ExitCode.Done;
            }
            try
            {
                await files.ReplaceAsync(name, include, token, after, cancellationToken);
                Directory.Delete(directory, recursive: true);
                return ExitCode.Done;
            }
            catch (MgmtException error)
            {
                run.Tell(error.Message);
                if (!await AgainAsync(cancellationToken))
                {
                    run.Tell($"nothing was changed; what you wrote is in {copy}");
                    return ExitCode.Of(error.Code);
                }
            }
        }
    }

    private async Task<(string Token, ReadOnlyMemory<byte> Bytes)> ReadAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await files.ReadAsync(name, include, cancellationToken);
        }
        catch (MgmtException error) when (error.Code == ErrorCode.QubesException)
        {
            // There is none: if there is something else in its place, that is said when it is to be written.
            run.Tell($"{error.Message}; a new file is begun");
            return ("new", default);
        }
    }

    private async Task OpenEditorAsync(string copy, CancellationToken cancellationToken)
    {
        var editor = Variable("VISUAL") ?? Variable("EDITOR") ?? "vi";
        // By the shell, because the variable may have options in it.
        using var process = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", editor + " \"$1\"", "sh", copy]))!;
        await process.WaitForExitAsync(cancellationToken);
        if (process.ExitCode != 0)
        {
            throw new IOException($"'{editor}' ended with {process.ExitCode}; nothing was changed, what you wrote is in {copy}");
        }
    }

    private string? Variable(string variable) => run.Terminal.Variable(variable) is { Length: > 0 } value ? value : null;

    /// <summary>Asks a person; without one the answer is no.</summary>
    private async Task<bool> AgainAsync(CancellationToken cancellationToken)
    {
        if (!run.Terminal.InputIsTerminal)
        {
            return false;
        }
        _answers ??= new StreamReader(run.Terminal.OpenInput(), Encoding.UTF8);
        while (true)
        {
            run.Terminal.Error.Write("(e)dit again or (q)uit? ");
            switch ((await _answers.ReadLineAsync(cancellationToken))?.Trim())
            {
                case "e" or "edit":
                    return true;
                case null or "q" or "quit":
                    return false;
            }
        }
    }
}
