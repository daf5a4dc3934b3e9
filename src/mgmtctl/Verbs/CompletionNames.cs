using System.CommandLine;
using Mgmt.Core;

namespace Mgmt.Cli.Verbs;

/// <summary>
/// Names that only the daemon knows: VMs, volumes, snapshots, pools, drivers. What is asked for is told by the name of the argument. Nothing when the daemon
/// is not there or refuses: completion never complains and never makes the shell wait long.
/// </summary>
internal sealed class CompletionNames(CommandLine cli, ParseResult parse)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    /// <summary>Looked for only when it is asked: verbs and options are completed without it.</summary>
    private readonly Lazy<Daemon> _daemon = new(() => cli.Connect(parse));

    /// <summary>What the value of an option can be, told by what its help calls it.</summary>
    public Task<IEnumerable<string>> OfOptionAsync(Option option, string last, CancellationToken cancellationToken) => AskAsync(option.HelpName, last, cancellationToken);

    /// <summary>What the next argument of the verb can be, when its last word begins with <paramref name="last"/>.</summary>
    public Task<IEnumerable<string>> OfArgumentAsync(Command verb, string last, CancellationToken cancellationToken) =>
        AskAsync(Next(verb)?.Name is DeviceVerb.ClassName or DeviceVerb.DeviceName ? Next(verb)!.Name : verb.Arguments.Any(TakesVm) ? Symbols.VmName : Next(verb)?.Name, last, cancellationToken);

    private static bool TakesVm(Argument argument) => argument.Name is Symbols.VmName or "DEST" or "SOURCE" or "TARGET";

    private async Task<IEnumerable<string>> AskAsync(string? kind, string last, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(Patience);
        try
        {
            return await OfAsync(kind, last, patience.Token);
        }
        catch (Exception error) when (error is MgmtException or UsageException or OperationCanceledException)
        {
            return [];
        }
    }

    /// <summary>The first argument that has room for one more word.</summary>
    private Argument? Next(Command verb) =>
        verb.Arguments.FirstOrDefault(argument => (parse.GetResult(argument)?.Tokens.Count ?? 0) < argument.Arity.MaximumNumberOfValues);

    private async Task<IEnumerable<string>> OfAsync(string? kind, string last, CancellationToken cancellationToken) => kind switch
    {
        Symbols.VmName => await VmsAsync(cancellationToken),
        VolumeAddress.Words or VolumeAddress.Source or VolumeAddress.Target => await VolumesAsync(last, cancellationToken),
        VolumeSnapshotVerbs.IdName => await SnapshotsAsync(cancellationToken),
        MachineVerb.MachineName => (await _daemon.Value.LinesAsync("mgmt.machine.List", "", Daemon.Host, cancellationToken)).Select(FirstWord),
        PoolImageVerbs.ImageName when parse.CommandResult.Command.Arguments.Where(argument => argument.Name == PoolVerb.PoolName).Select(argument => parse.GetResult(argument)?.Tokens).FirstOrDefault() is [var pool, ..] =>
            (await _daemon.Value.LinesAsync("mgmt.pool.image.List", pool.Value, Daemon.Host, cancellationToken)).Select(FirstWord),
        PoolVerb.PoolName => await _daemon.Value.LinesAsync("mgmt.pool.List", "", Daemon.Host, cancellationToken),
        DeviceVerb.ClassName => await _daemon.Value.LinesAsync("mgmt.deviceclass.List", "", Daemon.Host, cancellationToken),
        DeviceVerb.DeviceName => await DevicesAsync(last, cancellationToken),
        PoolVerb.DriverName => (await _daemon.Value.LinesAsync("mgmt.pool.ListDrivers", "", Daemon.Host, cancellationToken)).Select(FirstWord),
        _ => [],
    };

    private async Task<IEnumerable<string>> VmsAsync(CancellationToken cancellationToken) =>
        (await _daemon.Value.LinesAsync("mgmt.vm.List", "", Daemon.Host, cancellationToken)).Select(FirstWord);

    /// <summary>VMs with the colon that comes next; after it their volumes.</summary>
    private async Task<IEnumerable<string>> VolumesAsync(string last, CancellationToken cancellationToken)
    {
        var colon = last.IndexOf(':', StringComparison.Ordinal);
        if (colon < 0)
        {
            return (await VmsAsync(cancellationToken)).Select(vm => vm + ":");
        }
        var vm = last[..colon];
        return (await _daemon.Value.LinesAsync("mgmt.vm.volume.List", "", vm, cancellationToken)).Select(volume => $"{vm}:{volume}");
    }

    /// <summary>The devices of the class that stands before, of dom0 or of the VM before the colon.</summary>
    private async Task<IEnumerable<string>> DevicesAsync(string last, CancellationToken cancellationToken)
    {
        var kind = parse.CommandResult.Command.Arguments.Where(argument => argument.Name == DeviceVerb.ClassName).Select(argument => parse.GetResult(argument)?.Tokens).FirstOrDefault();
        if (kind is not [var word, ..])
        {
            return [];
        }
        var colon = last.IndexOf(':', StringComparison.Ordinal);
        var backend = colon < 0 ? Daemon.Host : last[..colon];
        return (await _daemon.Value.LinesAsync($"mgmt.vm.device.{word.Value}.Available", "", backend, cancellationToken)).Select(line => $"{backend}:{FirstWord(line)}");
    }

    private async Task<IEnumerable<string>> SnapshotsAsync(CancellationToken cancellationToken)
    {
        var verb = parse.CommandResult.Command;
        var word = verb.Arguments.Where(argument => argument.Name == VolumeAddress.Words).Select(argument => parse.GetResult(argument)?.Tokens).FirstOrDefault();
        return word is [var text, ..] && text.Value.Split(':') is [{ Length: > 0 } vm, { Length: > 0 } volume]
            ? await _daemon.Value.LinesAsync("mgmt.vm.volume.ListSnapshots", volume, vm, cancellationToken)
            : [];
    }

    private static string FirstWord(string line) => line.Split(' ')[0];
}
