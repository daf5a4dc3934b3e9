using System.Buffers;

namespace Mgmt.Api;

/// <summary>
/// Which events a subscriber may see: <c>mgmt.Events +EVENT</c> from the subscriber to the event's subject, and for events about
/// properties, features and tags also the call that reads them. The set in force at delivery decides.
/// </summary>
public sealed class EventVisibility(PolicyGate policy)
{
    private static readonly (string Prefix, string VmCall, string? HostCall)[] Readers =
    [
        ("property-", "vm.property.Get", "property.Get"),
        ("domain-feature-", "vm.feature.Get", null),
        ("domain-tag-", "vm.tag.Get", null),
    ];

    /// <summary>Whether the subscriber sees the event.</summary>
    public bool Sees(string subscriber, MgmtEvent happened)
    {
        var subject = happened.Subject.Length > 0 ? happened.Subject : happened["vm"] ?? "dom0";
        return policy.AllowsEvent(subscriber, new("Events", Sanitise(happened.Name), subject)) && MayRead(subscriber, happened);
    }

    /// <summary>Whether the subscriber may have a stream of that destination.</summary>
    public bool MayOpen(string subscriber, VmName destination) => policy.AllowsEvent(subscriber, new("Events", "", destination.Value));

    private bool MayRead(string subscriber, MgmtEvent happened)
    {
        foreach (var (prefix, vmCall, hostCall) in Readers)
        {
            if (happened.Name.StartsWith(prefix, StringComparison.Ordinal) && happened.Name.IndexOf(':', StringComparison.Ordinal) is var colon and > 0)
            {
                var name = happened.Name[(colon + 1)..];
                return happened.Subject.Length > 0
                    ? policy.AllowsEvent(subscriber, new(vmCall, name, happened.Subject))
                    : hostCall is null || policy.AllowsEvent(subscriber, new(hostCall, name, "dom0"));
            }
        }
        return true;
    }

    /// <summary>An event's name as an argument: every byte outside the charset of arguments is <c>_</c>.</summary>
    internal static string Sanitise(string name) => name.AsSpan().ContainsAnyExcept(Charset.Argument)
        ? string.Create(name.Length, name, (span, text) =>
        {
            for (var i = 0; i < span.Length; i++)
            {
                span[i] = Charset.Argument.Contains(text[i]) ? text[i] : '_';
            }
        })
        : name;
}
