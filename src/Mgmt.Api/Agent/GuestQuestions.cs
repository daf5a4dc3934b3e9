using System.Text.Json;

namespace Mgmt.Api;

/// <summary>Asks one guest for its facts, and sets its clock when that stood still. What it says is cut to size before it is kept.</summary>
internal sealed class GuestQuestions(LifecycleServices services, VmSession session)
{
    internal const int MaxItems = 64;
    internal const int MaxText = 256;

    /// <summary>A clock this close is left alone.</summary>
    internal static readonly TimeSpan Tolerance = TimeSpan.FromMilliseconds(500);

    private IGuestAgent Agent => session.Vm.Agent;

    /// <summary>Asks everything once, one question after the other. A guest that does not answer is asked nothing more this time; what it said before stays, and ages.</summary>
    internal async Task AskAsync(CancellationToken cancellation)
    {
        try
        {
            await ClockAsync(cancellation);
            await KeepAsync("os", AgentCommands.OsInfo, Cut, cancellation);
            await KeepAsync("host-name", AgentCommands.HostName, name => name with { HostName = Cut(name.HostName)! }, cancellation);
            await KeepAsync("interfaces", AgentCommands.NetworkInterfaces, Cut, cancellation);
            await KeepAsync("users", AgentCommands.Users, users => [.. users.Take(MaxItems).Select(user => user with { User = Cut(user.User)!, Domain = Cut(user.Domain) })], cancellation);
            await KeepAsync("timezone", AgentCommands.Timezone, zone => zone with { Zone = Cut(zone.Zone) }, cancellation);
        }
        catch (MgmtException error)
        {
            Log.GuestSilent(services.Log, session.Name, error.Message);
        }
    }

    private async Task ClockAsync(CancellationToken cancellation)
    {
        var stops = session.ClockStops;
        if (await DriftAsync(cancellation) is not { } drift)
        {
            session.ClockLookedAt = stops;
            return;
        }
        if (stops != session.ClockLookedAt && drift.Duration() > Tolerance)
        {
            try
            {
                await Agent.RunAsync(AgentCommands.SetTime, new(Nanoseconds(services.Clock.GetUtcNow())), cancellation);
                Log.ClockSet(services.Log, session.Name, drift);
                drift = await DriftAsync(cancellation) ?? drift;
            }
            catch (MgmtException error) when (error.Code is ErrorCode.QubesException or ErrorCode.MgmtUnsupportedError)
            {
                Log.ClockNotSet(services.Log, session.Name, drift, error.Message);
            }
        }
        session.ClockLookedAt = stops;
        Keep("time-drift-ms", JsonSerializer.SerializeToElement((long)drift.TotalMilliseconds, AgentCommands.Time.Result));
    }

    /// <summary>How far the guest's clock is ahead of ours, as of the middle of the question; null when the guest cannot say.</summary>
    private async Task<TimeSpan?> DriftAsync(CancellationToken cancellation)
    {
        var before = services.Clock.GetUtcNow();
        try
        {
            var guest = await Agent.RunAsync(AgentCommands.Time, cancellation);
            var middle = before + ((services.Clock.GetUtcNow() - before) / 2);
            return TimeSpan.FromTicks((guest / 100) - (Nanoseconds(middle) / 100));
        }
        catch (MgmtException error) when (error.Code is ErrorCode.MgmtUnsupportedError or ErrorCode.QubesException)
        {
            session.Facts = session.Facts.Without("time-drift-ms");
            return null;
        }
    }

    private async Task KeepAsync<T>(string name, AgentCommand<GuestNothing, T> command, Func<T, T> cut, CancellationToken cancellation)
        where T : class
    {
        try
        {
            var value = cut(await Agent.RunAsync(command, cancellation));
            Keep(name, JsonSerializer.SerializeToElement(value, command.Result));
        }
        catch (MgmtException error) when (error.Code is ErrorCode.MgmtUnsupportedError or ErrorCode.QubesException)
        {
            // This one it cannot say; the others it may.
            session.Facts = session.Facts.Without(name);
        }
    }

    private void Keep(string name, JsonElement value) => session.Facts = session.Facts.With(name, value, services.Clock.GetUtcNow());

    private static GuestOsInfo Cut(GuestOsInfo os) => new(
        Cut(os.KernelRelease), Cut(os.KernelVersion), Cut(os.Machine), Cut(os.Id), Cut(os.Name), Cut(os.PrettyName), Cut(os.Version), Cut(os.VersionId), Cut(os.Variant), Cut(os.VariantId));

    private static IReadOnlyList<GuestNetworkInterface> Cut(IReadOnlyList<GuestNetworkInterface> interfaces) =>
    [
        .. interfaces.Take(MaxItems).Select(one => new GuestNetworkInterface(Cut(one.Name)!, Cut(one.HardwareAddress),
            one.IpAddresses is null ? null : [.. one.IpAddresses.Take(MaxItems).Select(ip => new GuestIpAddress(Cut(ip.IpAddress)!, Cut(ip.IpAddressType)!, ip.Prefix))])),
    ];

    private static string? Cut(string? text) => text is { Length: > MaxText } ? text[..(char.IsHighSurrogate(text[MaxText - 1]) ? MaxText - 1 : MaxText)] : text;

    private static long Nanoseconds(DateTimeOffset time) => (time - DateTimeOffset.UnixEpoch).Ticks * 100;
}
