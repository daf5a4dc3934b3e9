using System.CommandLine;
using Mgmt.Core;

namespace Mgmt.Cli.Verbs;

/// <summary>
/// Names that only the daemon knows: VMs, volumes, snapshots, pools, drivers. What is asked for is told by the name of the argument. Nothing when the daemon
/// is not there or refuses: completion never complains and never makes the shell wait long.
/// </summary>
internal sealed class CompletionNames(Daemon daemon, ParseResult parse)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    /// <summary>What the next argument of the verb can be, when its last word begins with <paramref name="last"/>.</summary>
    public async Task<IEnumerable<string>> OfAsync(Command verb, string last, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(Patience);
        try
        {
            return verb.Arguments.Any(TakesVm) ? await VmsAsync(patience.Token) : await OfAsync(Next(verb)?.Name, last, patience.Token);
        }
        catch (Exception error) when (error is MgmtException or OperationCanceledException)
        {
            return [];
        }
    }

    private static bool TakesVm(Argument argument) => argument.Name is Symbols.VmName or "DEST";

    /// <summary>The first argument that has room for one more word.</summary>
    private Argument? Next(Command verb) =>
        verb.Arguments.FirstOrDefault(argument => (parse.GetResult(argument)?.Tokens.Count ?? 0) < argument.Arity.MaximumNumberOfValues);

    private async Task<IEnumerable<string>> OfAsync(string? argument, string last, CancellationToken cancellationToken) => argument switch
    {
        VolumeAddress.Words or VolumeAddress.Source or VolumeAddress.Target => await VolumesAsync(last, cancellationToken),
        VolumeSnapshotVerbs.IdName => await SnapshotsAsync(cancellationToken),
        PoolVerb.PoolName => await daemon.LinesAsync("mgmt.pool.List", "", Daemon.Host, cancellationToken),
        PoolVerb.DriverName => (await daemon.LinesAsync("mgmt.pool.ListDrivers", "", Daemon.Host, cancellationToken)).Select(FirstWord),
        _ => [],
    };

    private async Task<IEnumerable<string>> VmsAsync(CancellationToken cancellationToken) =>
        (await daemon.LinesAsync("mgmt.vm.List", "", Daemon.Host, cancellationToken)).Select(FirstWord);

    /// <summary>VMs with the colon that comes next; after it their volumes.</summary>
    private async Task<IEnumerable<string>> VolumesAsync(string last, CancellationToken cancellationToken)
    {
        var colon = last.IndexOf(':', StringComparison.Ordinal);
        if (colon < 0)
        {
            return (await VmsAsync(cancellationToken)).Select(vm => vm + ":");
        }
        var vm = last[..colon];
        return (await daemon.LinesAsync("mgmt.vm.volume.List", "", vm, cancellationToken)).Select(volume => $"{vm}:{volume}");
    }

    private async Task<IEnumerable<string>> SnapshotsAsync(CancellationToken cancellationToken)
    {
        var verb = parse.CommandResult.Command;
        var word = verb.Arguments.Where(argument => argument.Name == VolumeAddress.Words).Select(argument => parse.GetResult(argument)?.Tokens).FirstOrDefault();
        return word is [var text, ..] && text.Value.Split(':') is [{ Length: > 0 } vm, { Length: > 0 } volume]
            ? await daemon.LinesAsync("mgmt.vm.volume.ListSnapshots", volume, vm, cancellationToken)
            : [];
    }

    private static string FirstWord(string line) => line.Split(' ')[0];
}
