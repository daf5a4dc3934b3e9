using System.Collections.Immutable;
using System.Globalization;
using Mgmt.State;

namespace Mgmt.Api;

/// <summary>
/// What is written down of disposables that are made ahead of need. A template's feature <c>preload-dispvm</c> lists them, oldest first, and that alone says which
/// they are. One has <c>preload-dispvm-in-progress</c> while it is being made and while it is being handed out, which no daemon's end may interrupt, and
/// <c>preload-dispvm-completed</c> once it was ready. SOURCE: the features and events of Qubes OS 4.3.
/// </summary>
internal static class Preloading
{
    internal const string Max = "preload-dispvm-max";
    internal const string InProgress = "preload-dispvm-in-progress";
    internal const string Completed = "preload-dispvm-completed";
    private const string Family = "preload-dispvm";
    private const string Listed = "preload-dispvm";
    private const string Delay = "preload-dispvm-delay";
    private const string Threshold = "preload-dispvm-threshold";
    private const string Internal = "internal";
    private const int MostKept = 100;
    private const int LongestDelaySeconds = 3600;
    private const double UsualDelaySeconds = 3;

    /// <summary>Those that callers do not change.</summary>
    internal static readonly ImmutableArray<string> OwnFeatures = [Listed, Completed, InProgress];

    /// <summary>The features that a VM made from another begins with.</summary>
    internal static ImmutableSortedDictionary<string, string> Inherited(VmRecord template) =>
        template.Features.RemoveRange(template.Features.Keys.Where(name => name.StartsWith(Family, StringComparison.Ordinal)));

    /// <summary>The names of those that a template has, oldest first. What is no name, which only a test host's document can hold, is passed over.</summary>
    internal static ImmutableArray<VmName> ListOf(VmRecord template) =>
        template.Features.GetValueOrDefault(Listed) is { Length: > 0 } names ? [.. names.Split(' ').Select(VmName.TryParse).OfType<VmName>()] : [];

    /// <summary>Whether a VM was made ahead and nobody has it yet.</summary>
    internal static bool IsPreload(HostState state, VmRecord vm) => TemplateOf(state, vm) is { } template && ListOf(template).Contains(vm.Name);

    /// <summary>How many a template is to have: as dom0's feature says, where there is one and it is the host's default_dispvm, else as its own does.</summary>
    internal static int Wanted(HostState state, VmRecord template)
    {
        var ofHost = state.Properties.GetValueOrDefault("default_dispvm") == template.Name.Value ? state.Find(VmName.Dom0)?.Features.GetValueOrDefault(Max) : null;
        return template.Property("template_for_dispvms") == "True" && int.TryParse(ofHost ?? template.Features.GetValueOrDefault(Max), NumberStyles.None, CultureInfo.InvariantCulture, out var count) ? count : 0;
    }

    /// <summary>How long after one was handed out the next is made.</summary>
    internal static TimeSpan DelayOf(HostState state, VmRecord template)
    {
        var text = template.Features.GetValueOrDefault(Delay) ?? state.Find(VmName.Dom0)?.Features.GetValueOrDefault(Delay);
        return TimeSpan.FromSeconds(text is null ? UsualDelaySeconds : double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds) ? seconds : 0);
    }

    /// <summary>MiB of the host's memory that are left alone.</summary>
    internal static long ThresholdMiB(HostState state) =>
        long.TryParse(state.Find(VmName.Dom0)?.Features.GetValueOrDefault(Threshold), NumberStyles.None, CultureInfo.InvariantCulture, out var mebibytes) ? mebibytes : 0;

    /// <summary>Whether a caller may give a feature that value. ERRORS: QubesValueError.</summary>
    internal static void CheckFeature(string feature, string value)
    {
        var isGood = value.Length == 0 || feature switch
        {
            Max => int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count <= MostKept,
            Threshold => int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out _),
            Delay => double.TryParse(value, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds) && seconds <= LongestDelaySeconds,
            _ => true,
        };
        if (!isGood)
        {
            throw new MgmtException(ErrorCode.QubesValueError, feature switch
            {
                Max => "Invalid %s value: not a number from 0 to 100",
                Delay => "Invalid %s value: not a number of seconds from 0 to 3600",
                _ => "Invalid %s value: not a number of MiB",
            }, feature);
        }
    }

    /// <summary>Enters one that is just being made.</summary>
    internal static void Begin(IStateTransaction change, VmName name)
    {
        var template = TemplateOf(change.State, change.State.Get(name))!;
        change.SetFeature(name, InProgress, "1");
        SetList(change, template.Name, ListOf(template).Add(name), name);
        change.SetFeature(name, Internal, "1");
    }

    /// <summary>It is ready; false when it is not one any more, or does not wait.</summary>
    internal static bool Complete(IStateTransaction change, VmRecord made)
    {
        if (change.State.Find(made.Uuid) is not { Status.State: VmState.Paused } vm || !IsPreload(change.State, vm))
        {
            return false;
        }
        change.SetFeature(vm.Name, Completed, "1");
        change.SetFeature(vm.Name, InProgress, "");
        return true;
    }

    /// <summary>Whether it can be handed out.</summary>
    internal static bool IsReady(VmRecord vm) => vm is { Status.State: VmState.Paused } && vm.Features.GetValueOrDefault(Completed) is { Length: > 0 } && !IsInProgress(vm);

    internal static bool IsInProgress(VmRecord vm) => vm.Features.GetValueOrDefault(InProgress) is { Length: > 0 };

    /// <summary>Gives one to whoever asked, before it goes on; false when it is not to be had any more. The tags come first: what is about it is in force before it does anything.</summary>
    internal static bool Request(IStateTransaction change, VmRecord ready, string requester)
    {
        if (change.State.Find(ready.Uuid) is not { } vm || !IsReady(vm) || !IsPreload(change.State, vm))
        {
            return false;
        }
        change.SetFeature(vm.Name, InProgress, "1");
        Unlist(change, vm.Name);
        foreach (var tag in VmMaker.TagsOfDisposable(requester))
        {
            change.PutVm(change.State.Get(vm.Name) with { Tags = change.State.Get(vm.Name).Tags.Add(tag) });
            change.Emit(MgmtEvent.Of(vm.Name, "domain-tag-add:" + tag, ("tag", tag.Value)));
        }
        return true;
    }

    /// <summary>Its processors run again: from now on it is somebody's, also when nobody had asked for it.</summary>
    internal static void RunsAgain(IStateTransaction change, VmName name)
    {
        if (change.State.Find(name) is not { } vm || TemplateOf(change.State, vm) is not { } template || (!ListOf(template).Contains(name) && !IsInProgress(vm)))
        {
            return;
        }
        Unlist(change, name);
        if (!template.Features.ContainsKey(Internal) && vm.Features.ContainsKey(Internal))
        {
            change.RemoveFeature(name, Internal);
        }
        if (vm.Features.ContainsKey(InProgress))
        {
            change.RemoveFeature(name, InProgress);
        }
        var delay = DelayOf(change.State, template).TotalSeconds.ToString("0.0###", CultureInfo.InvariantCulture);
        change.Emit(MgmtEvent.Of(template.Name, "domain-preload-dispvm-used", ("dispvm", name.Value), ("delay", delay)));
    }

    /// <summary>It is not kept ready any more; false when it was not.</summary>
    internal static bool Unlist(IStateTransaction change, VmRecord ready) => change.State.Find(ready.Uuid) is { } vm && Unlist(change, vm.Name);

    /// <summary>The same of one that was cut off; false when somebody has it by now.</summary>
    internal static bool Drop(IStateTransaction change, VmRecord interrupted)
    {
        if (change.State.Find(interrupted.Uuid) is not { } vm || !IsInProgress(vm))
        {
            return false;
        }
        Unlist(change, vm.Name);
        return true;
    }

    /// <summary>The same by its name.</summary>
    internal static bool Unlist(IStateTransaction change, VmName name)
    {
        if (change.State.Find(name) is not { } vm || TemplateOf(change.State, vm) is not { } template)
        {
            return false;
        }
        var list = ListOf(template);
        if (!list.Contains(name))
        {
            return false;
        }
        SetList(change, template.Name, list.Remove(name), name);
        return true;
    }

    private static VmRecord? TemplateOf(HostState state, VmRecord vm) =>
        vm.Class == VmClass.DispVM && vm.Property("template") is { } template ? state.Find(VmName.Parse(template)) : null;

    private static void SetList(IStateTransaction change, VmName template, ImmutableArray<VmName> list, VmName changed)
    {
        change.SetFeature(template, Listed, string.Join(' ', list.Select(name => name.Value)));
        change.Emit(MgmtEvent.Of(changed, "property-reset:is_preload", ("name", "is_preload")));
    }
}
