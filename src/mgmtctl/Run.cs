using System.CommandLine;
using Mgmt.Cli.Rendering;
using Mgmt.Core;

namespace Mgmt.Cli;

/// <summary>One run of one verb.</summary>
internal sealed record Run(ParseResult Parse, Daemon Daemon, Output Output, Terminal Terminal, TimeProvider Time)
{
    private readonly TextPieces _errors = new();

    public T? Get<T>(Option<T> option) => Parse.GetValue(option);

    public T? Get<T>(Argument<T> argument) => Parse.GetValue(argument);

    /// <summary>A line for people, on standard error.</summary>
    public void Tell(string message) => Terminal.Error.WriteLine($"mgmtctl: {PlainText.OneLine(message)}");

    /// <summary>Bytes of others for standard error: as they are, to a terminal as text that cannot move its cursor.</summary>
    public Task ErrorBytesAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) => ErrorAsync(bytes, new TextPieces(), cancellationToken);

    /// <summary>The same of bytes of which more come.</summary>
    public Task ErrorPieceAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) => ErrorAsync(bytes, _errors, cancellationToken);

    /// <summary>
    /// Does the same to each VM; one that refuses does not keep the others from being asked, and is named in its line.
    /// The exit code is 126 when one was denied, else 1 when one refused.
    /// </summary>
    public async Task<int> EachAsync(IReadOnlyList<string> vms, bool together, Func<string, Task> act)
    {
        var exitCode = ExitCode.Done;
        async Task OneAsync(string vm)
        {
            try
            {
                await act(vm);
            }
            catch (MgmtException error) when (vms.Count > 1)
            {
                Tell($"{vm}: {error.Message}");
                exitCode = Math.Max(exitCode, ExitCode.Of(error.Code));
            }
        }
        if (together)
        {
            await Task.WhenAll(vms.Select(OneAsync));
            return exitCode;
        }
        foreach (var vm in vms)
        {
            await OneAsync(vm);
        }
        return exitCode;
    }

    private async Task ErrorAsync(ReadOnlyMemory<byte> bytes, TextPieces pieces, CancellationToken cancellationToken)
    {
        if (Terminal.ErrorIsTerminal || Terminal.OpenError is not { } open)
        {
            await Terminal.Error.WriteAsync(pieces.Next(bytes).AsMemory(), cancellationToken);
            return;
        }
        await using var raw = open();
        await raw.WriteAsync(bytes, cancellationToken);
    }
}
