using Mgmt.Core;

namespace Mgmt.Cli.Verbs;

/// <summary>Words that depend on the words before them.</summary>
internal sealed partial class CompletionNames
{
    /// <summary>VM [NAME [VALUE]], or with --global [NAME [VALUE]].</summary>
    private async Task<IEnumerable<string>> PreferencesAsync(CancellationToken cancellationToken)
    {
        var isGlobal = parse.GetValue(PrefsVerb.Global);
        var (prefix, holder) = isGlobal ? ("mgmt.property.", Daemon.Host) : ("mgmt.vm.property.", Given(PrefsVerb.Preference).FirstOrDefault());
        var given = Given(PrefsVerb.Preference)[(isGlobal || holder is null ? 0 : 1)..];
        return (holder, given) switch
        {
            (null, _) => await VmsAsync(cancellationToken),
            (_, []) => await ListAsync(prefix + "List", "", holder, cancellationToken),
            (_, [var name]) => await ValuesAsync(await _daemon.Value.TextAsync(prefix + "Get", name, holder, cancellationToken), cancellationToken),
            _ => [],
        };
    }

    /// <summary>What a property of that type can be: of a VM and a label the names that there are, of others those that are spelled out.</summary>
    private async Task<IEnumerable<string>> ValuesAsync(string property, CancellationToken cancellationToken) => Formats.PropertyText.OfGet("", property).Type switch
    {
        "vm" => await VmsAsync(cancellationToken),
        "label" => await HostAsync("mgmt.label.List", "", cancellationToken),
        "bool" => ["False", "True"],
        _ => [],
    };

    private async Task<IEnumerable<string>> FeaturesAsync(CancellationToken cancellationToken) =>
        Given(FeaturesVerb.Feature).Length == 0 && Given(Symbols.VmName) is [var vm] ? await ListAsync("mgmt.vm.feature.List", "", vm, cancellationToken) : [];

    /// <summary>add, del or list; then, of del and list, what the VM has.</summary>
    private async Task<IEnumerable<string>> ActionsAsync(string call, string[] others, CancellationToken cancellationToken)
    {
        var words = Given(parse.CommandResult.Command.Arguments[^1].Name);
        return words switch
        {
            [] => ["add", "del", "list"],
            ["del" or "list"] when Given(Symbols.VmName) is [var vm] => (await ListAsync(call, "", vm, cancellationToken)).Concat(words[0] == "del" ? others : []),
            _ => [],
        };
    }

    /// <summary>VMs with the colon that comes next; after it their volumes.</summary>
    private async Task<IEnumerable<string>> VolumesAsync(string last, CancellationToken cancellationToken)
    {
        var colon = last.IndexOf(':', StringComparison.Ordinal);
        if (colon < 0)
        {
            return (await VmsAsync(cancellationToken)).Select(vm => vm + ":");
        }
        var vm = last[..colon];
        return (await ListAsync("mgmt.vm.volume.List", "", vm, cancellationToken)).Select(volume => $"{vm}:{volume}");
    }

    private async Task<IEnumerable<string>> SnapshotsAsync(CancellationToken cancellationToken) =>
        Given(VolumeAddress.Words) is [var text, ..] && text.Split(':') is [{ Length: > 0 } vm, { Length: > 0 } volume]
            ? await ListAsync("mgmt.vm.volume.ListSnapshots", volume, vm, cancellationToken)
            : [];

    /// <summary>A volume of VMs and its equals sign, or, where one pool for all can be said, pools; after the sign pools.</summary>
    private async Task<IEnumerable<string>> PoolsOfVolumesAsync(string last, bool mayBeForAll, CancellationToken cancellationToken)
    {
        var sign = last.IndexOf('=', StringComparison.Ordinal);
        var pools = sign >= 0 || mayBeForAll ? await HostAsync("mgmt.pool.List", "", cancellationToken) : [];
        return sign >= 0 ? pools.Select(pool => last[..(sign + 1)] + pool) : Enum.GetValues<VolumeName>().Select(volume => volume.Wire() + "=").Concat(pools);
    }

    /// <summary>The settings of the driver that stands before.</summary>
    private async Task<IEnumerable<string>> DriverSettingsAsync(CancellationToken cancellationToken)
    {
        if (Given(PoolVerb.DriverName) is not [var driver])
        {
            return [];
        }
        var lines = await _daemon.Value.LinesAsync("mgmt.pool.ListDrivers", "", Daemon.Host, cancellationToken);
        return lines.Select(line => line.Split(' ')).Where(words => words[0] == driver).SelectMany(words => words[1..]).Select(setting => setting + "=");
    }

    /// <summary>The images of the pool that stands before; where none does, of all pools that have any.</summary>
    private async Task<IEnumerable<string>> ImagesAsync(CancellationToken cancellationToken)
    {
        if (Given(PoolVerb.PoolName) is [var given, ..])
        {
            return await HostAsync("mgmt.pool.image.List", given, cancellationToken);
        }
        var images = new List<string>();
        foreach (var pool in await HostAsync("mgmt.pool.List", "", cancellationToken))
        {
            try
            {
                images.AddRange(await HostAsync("mgmt.pool.image.List", pool, cancellationToken));
            }
            catch (MgmtException)
            {
                // It has none: another driver.
            }
        }
        return images;
    }

    /// <summary>Where a file is copied from or to: VMs, or machines, with the colon that comes next. Files of this host the shell knows itself.</summary>
    private async Task<IEnumerable<string>> PlacesAsync(string last, CancellationToken cancellationToken) => last.Contains(':', StringComparison.Ordinal) || last.Contains('/', StringComparison.Ordinal) ? []
        : (await HostAsync(parse.CommandResult.Command.Parents.Any(group => group.Name == "machine") ? "mgmt.machine.List" : "mgmt.vm.List", "", cancellationToken)).Select(name => name + ":");

    /// <summary>The devices of the class that stands before, of dom0 or of the VM before the colon.</summary>
    private async Task<IEnumerable<string>> DevicesAsync(string last, CancellationToken cancellationToken)
    {
        if (Given(DeviceVerb.ClassName) is not [var kind, ..])
        {
            return [];
        }
        var colon = last.IndexOf(':', StringComparison.Ordinal);
        var backend = colon < 0 ? Daemon.Host : last[..colon];
        return (await ListAsync($"mgmt.vm.device.{kind}.Available", "", backend, cancellationToken)).Select(port => $"{backend}:{port}");
    }
}
