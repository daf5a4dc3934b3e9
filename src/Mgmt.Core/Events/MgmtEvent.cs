using System.Collections.Immutable;

namespace Mgmt.Core;

/// <summary>
/// Something that happened. SHAPE: subject (a VM's name, empty for global events), event name, and pairs of key and
/// value in the order they go on the wire. SOURCE: docs/events.md.
/// </summary>
public sealed record MgmtEvent(string Subject, string Name, ImmutableArray<KeyValuePair<string, string>> Pairs)
{
    /// <summary>An event about a VM.</summary>
    public static MgmtEvent Of(VmName subject, string name, params ReadOnlySpan<(string Key, string Value)> pairs) => Make(subject.Value, name, pairs);

    /// <summary>An event about the whole host.</summary>
    public static MgmtEvent Global(string name, params ReadOnlySpan<(string Key, string Value)> pairs) => Make("", name, pairs);

    /// <summary>The value of a key, or null.</summary>
    public string? this[string key]
    {
        get
        {
            foreach (var pair in Pairs)
            {
                if (pair.Key == key)
                {
                    return pair.Value;
                }
            }
            return null;
        }
    }

    private static MgmtEvent Make(string subject, string name, ReadOnlySpan<(string Key, string Value)> pairs)
    {
        var list = ImmutableArray.CreateBuilder<KeyValuePair<string, string>>(pairs.Length);
        foreach (var (key, value) in pairs)
        {
            list.Add(new(key, value));
        }
        return new(subject, name, list.MoveToImmutable());
    }
}
