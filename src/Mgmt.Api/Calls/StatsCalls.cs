using System.Globalization;

namespace Mgmt.Api;

/// <summary>What VMs use, again and again. These events are measurements: they are in no journal and have no cursor.</summary>
public sealed class StatsCalls(LifecycleServices services, PolicyGate policy) : ICallGroup
{
    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("vm.Stats", CallTarget.Any, CallAccess.Read, CallScope.Host, ArgumentRule.None, PayloadRule.None, CallDialects.Both,
            "What running VMs use: a `vm-stats` event each, every `stats_interval` seconds; dom0: of all; a VM: of that one. The policy is asked about each VM.", Stats)
        {
            Returns = "EVENT stream", IsStream = true, AskIsDenial = true,
        },
    ];

    private async ValueTask<ReadOnlyMemory<byte>> Stats(CallContext call, CancellationToken cancellation)
    {
        var sink = call.Events!;
        await sink.SendAsync(MgmtEvent.Global("connection-established"), null, cancellation);
        try
        {
            await GoOnAsync(call, sink, cancellation);
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            throw new StreamBrokenException(error);
        }
        return Content.Empty;
    }

    private async Task GoOnAsync(CallContext call, IEventSink sink, CancellationToken cancellation)
    {
        var before = new Dictionary<Guid, Sample>();
        while (true)
        {
            var now = new Dictionary<Guid, Sample>();
            foreach (var session in services.Sessions.All)
            {
                if (IsWanted(call, session) && session.Vm.Usage() is { } usage)
                {
                    var sample = new Sample(services.Clock.GetTimestamp(), usage);
                    now[session.Vm.Run.StartGuid] = sample;
                    await sink.SendAsync(Happened(session.Name, sample, before.TryGetValue(session.Vm.Run.StartGuid, out var last) ? last : null), null, cancellation);
                }
            }
            await sink.FlushAsync(cancellation);
            before = now;
            var interval = services.Properties.Int(services.Store.Current, null, "stats_interval");
            await Task.Delay(TimeSpan.FromSeconds(interval), services.Clock, cancellation);
        }
    }

    private bool IsWanted(CallContext call, VmSession session) =>
        (call.Target.Class == VmClass.AdminVM || call.Target.Name == session.Name) && policy.AllowsEvent(call.Source, new("vm.Stats", "", session.Name.Value));

    private MgmtEvent Happened(VmName name, Sample now, Sample? before)
    {
        var state = services.Store.Current;
        var vm = state.Find(name);
        var cpus = vm is null ? 1 : services.Properties.Int(state, vm, "vcpus");
        var assigned = vm is null ? now.Usage.MemoryKiB : services.Properties.Int(state, vm, "memory") * 1024L;
        return MgmtEvent.Of(name, "vm-stats",
            ("memory_kb", Number(now.Usage.MemoryKiB)), ("memory_assigned_total", Number(assigned)), ("memory_assigned_usable", Number(assigned)), ("memory_with_swap_used", Number(now.Usage.MemoryKiB)),
            ("cpu_time", Number((long)now.Usage.ProcessorTime.TotalMilliseconds)), ("cpu_usage", Number(before is { } last ? Percent(last, now, cpus) : 0)), ("online_vcpus", Number(cpus)));
    }

    /// <summary>Of all its processors together, 0 to 100.</summary>
    private long Percent(Sample before, Sample now, int cpus)
    {
        var passed = services.Clock.GetElapsedTime(before.Taken, now.Taken) * cpus;
        var used = now.Usage.ProcessorTime - before.Usage.ProcessorTime;
        return passed <= TimeSpan.Zero ? 0 : Math.Clamp((long)Math.Round(100 * (used / passed)), 0, 100);
    }

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);

    private readonly record struct Sample(long Taken, VmUsage Usage);
}
