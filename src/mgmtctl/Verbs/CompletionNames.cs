using System.CommandLine;
using Mgmt.Core;

namespace Mgmt.Cli.Verbs;

/// <summary>
/// Names that only the daemon knows: VMs, properties, features, tags, labels, volumes, snapshots, pools, devices, machines, rule files, calls. What is asked for is told by the name of the argument,
/// or by what the help of an option calls its value. Nothing when the daemon is not there or refuses: completion never complains and never makes the shell wait long.
/// </summary>
internal sealed partial class CompletionNames(CommandLine cli, ParseResult parse)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    /// <summary>How the words of each kind are found; given what is there of the word already.</summary>
    private static readonly Dictionary<string, Func<CompletionNames, string, CancellationToken, Task<IEnumerable<string>>>> Kinds = new(StringComparer.Ordinal)
    {
        [Symbols.VmName] = (names, _, token) => names.VmsAsync(token),
        ["DEST"] = (names, _, token) => names.VmsAsync(token),
        ["SOURCE"] = (names, _, token) => names.VmsAsync(token),
        ["TARGET"] = (names, _, token) => names.VmsAsync(token),
        [PrefsVerb.Preference] = (names, _, token) => names.PreferencesAsync(token),
        [FeaturesVerb.Feature] = (names, _, token) => names.FeaturesAsync(token),
        [TagsVerb.Action] = (names, _, token) => names.ActionsAsync("mgmt.vm.tag.List", [], token),
        ["ACTION CODES"] = (names, _, token) => names.ActionsAsync("mgmt.vm.device.denied.List", ["all"], token),
        [LabelVerb.LabelName] = (names, _, token) => names.HostAsync("mgmt.label.List", "", token),
        [CreateVerb.ClassName] = (names, _, token) => names.HostAsync("mgmt.vmclass.List", "", token),
        [VolumeAddress.Words] = (names, last, token) => names.VolumesAsync(last, token),
        [VolumeAddress.Source] = (names, last, token) => names.VolumesAsync(last, token),
        [VolumeAddress.Target] = (names, last, token) => names.VolumesAsync(last, token),
        [VolumeSnapshotVerbs.IdName] = (names, _, token) => names.SnapshotsAsync(token),
        [PoolVerb.PoolName] = (names, _, token) => names.HostAsync("mgmt.pool.List", "", token),
        [CreateVerb.PoolWords] = (names, last, token) => names.PoolsOfVolumesAsync(last, mayBeForAll: true, token),
        [CloneVerb.PoolOf] = (names, last, token) => names.PoolsOfVolumesAsync(last, mayBeForAll: false, token),
        [PoolVerb.DriverName] = (names, _, token) => names.HostAsync("mgmt.pool.ListDrivers", "", token),
        [PoolChangeVerbs.Setting] = (names, _, token) => names.DriverSettingsAsync(token),
        [PoolImageVerbs.ImageName] = (names, _, token) => names.ImagesAsync(token),
        [MachineVerb.MachineName] = (names, _, token) => names.HostAsync("mgmt.machine.List", "", token),
        ["FROM"] = (names, last, token) => names.PlacesAsync(last, token),
        ["TO"] = (names, last, token) => names.PlacesAsync(last, token),
        [DeviceVerb.ClassName] = (names, _, token) => names.HostAsync("mgmt.deviceclass.List", "", token),
        [DeviceVerb.DeviceName] = (names, last, token) => names.DevicesAsync(last, token),
        [PolicyEditVerbs.RuleFile] = (names, _, token) => names.HostAsync(names.IsIncluded ? "mgmt.policy.include.List" : "mgmt.policy.List", "", token),
        [PolicyEditVerbs.Version] = (names, _, token) => names.Given(PolicyEditVerbs.RuleFile) is [var file, ..]
            ? names.HostAsync(names.IsIncluded ? "mgmt.policy.include.History" : "mgmt.policy.History", file, token) : Nothing,
        [CallsVerb.CallId] = (names, _, token) => names.HostAsync("mgmt.call.List", "", token),
    };

    private static Task<IEnumerable<string>> Nothing => Task.FromResult<IEnumerable<string>>([]);

    /// <summary>Looked for only when it is asked: verbs and options are completed without it.</summary>
    private readonly Lazy<Daemon> _daemon = new(() => cli.Connect(parse));

    private bool IsIncluded => parse.GetValue(PolicyEditVerbs.Include);

    /// <summary>Whether words for an argument or option of that name are asked for.</summary>
    internal static bool Know(string? kind) => kind is not null && Kinds.ContainsKey(kind);

    /// <summary>What the value of an option can be, when its last word begins with <paramref name="last"/>.</summary>
    public Task<IEnumerable<string>> OfOptionAsync(Option option, string last, CancellationToken cancellationToken) => AskAsync(option.HelpName, last, cancellationToken);

    /// <summary>What an argument can be, when its last word begins with <paramref name="last"/>.</summary>
    public Task<IEnumerable<string>> OfArgumentAsync(Argument argument, string last, CancellationToken cancellationToken) => AskAsync(argument.Name, last, cancellationToken);

    /// <summary>The first argument that has room for one more word.</summary>
    public Argument? Next(Command verb) =>
        verb.Arguments.FirstOrDefault(argument => (parse.GetResult(argument)?.Tokens.Count ?? 0) < argument.Arity.MaximumNumberOfValues);

    private async Task<IEnumerable<string>> AskAsync(string? kind, string last, CancellationToken cancellationToken)
    {
        if (!Know(kind))
        {
            return [];
        }
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(Patience);
        try
        {
            return await Kinds[kind!](this, last, patience.Token);
        }
        catch (Exception error) when (error is MgmtException or UsageException or OperationCanceledException)
        {
            return [];
        }
    }

    /// <summary>The words that an argument of the verb has so far.</summary>
    private string[] Given(string argument) =>
        [.. parse.CommandResult.Command.Arguments.Where(one => one.Name == argument).SelectMany(one => parse.GetResult(one)?.Tokens.Select(token => token.Value) ?? [])];

    /// <summary>The first words of the lines of a call on dom0.</summary>
    private Task<IEnumerable<string>> HostAsync(string call, string argument, CancellationToken cancellationToken) => ListAsync(call, argument, Daemon.Host, cancellationToken);

    private async Task<IEnumerable<string>> ListAsync(string call, string argument, string target, CancellationToken cancellationToken) =>
        (await _daemon.Value.LinesAsync(call, argument, target, cancellationToken)).Select(line => line.Split(' ')[0]);

    private Task<IEnumerable<string>> VmsAsync(CancellationToken cancellationToken) => HostAsync("mgmt.vm.List", "", cancellationToken);
}
