using System.Collections.Immutable;
using System.Text.Json;
using Mgmt.Core;

namespace Mgmt.Policy;

// system-info = { "domains": { NAME: { "type", "tags": [TAG…], "uuid", "power_state", "template_for_dispvms", "default_dispvm",
//                 "internal", "relayvm", "transport_rpc", … } } }                all but type may be missing or null
/// <summary>The VMs of a system-info document, or any others that are given.</summary>
public sealed class SystemInfo : IDomainDirectory
{
    private readonly Dictionary<string, DomainInfo> _byName = new(StringComparer.Ordinal);
    private readonly List<DomainInfo> _all;

    /// <summary>Makes a view of these VMs; of two with one name the later one counts.</summary>
    public SystemInfo(IEnumerable<DomainInfo> domains)
    {
        ArgumentNullException.ThrowIfNull(domains);
        foreach (var domain in domains)
        {
            _byName[domain.Name] = domain;
            if (domain.Uuid.Length > 0)
                _byName[Spelling.UuidPrefix + domain.Uuid] = domain;
        }
        _all = [.. _byName.Where(pair => pair.Key == pair.Value.Name).Select(pair => pair.Value)];
    }

    /// <inheritdoc/>
    public IEnumerable<DomainInfo> All => _all;

    /// <inheritdoc/>
    public DomainInfo? Find(string nameOrUuid) => _byName.GetValueOrDefault(nameOrUuid);

    /// <summary>Reads UTF-8 JSON of the shape `{"domains": {NAME: {"type", "tags", …}}}`. ERRORS: QubesValueError.</summary>
    public static SystemInfo Parse(ReadOnlyMemory<byte> utf8)
    {
        try
        {
            using var document = JsonDocument.Parse(utf8);
            return JsonText.Read("system info", () => Read(document.RootElement));
        }
        catch (JsonException error)
        {
            throw new MgmtException(error, ErrorCode.QubesValueError, "The system info is no JSON: %s", error.Message);
        }
    }

    /// <summary>As <see cref="Parse"/>, of JSON that has been read. ERRORS: QubesValueError.</summary>
    public static SystemInfo Read(JsonElement root)
    {
        if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("domains", out var domains) || domains.ValueKind != JsonValueKind.Object)
            throw new MgmtException(ErrorCode.QubesValueError, "The system info has no object \"domains\"");
        return new SystemInfo(domains.EnumerateObject().Select(domain => Read(domain.Name, domain.Value)).ToList());
    }

    private static DomainInfo Read(string name, JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Object)
            throw new MgmtException(ErrorCode.QubesValueError, "The system info of %s is no object", name);
        return new DomainInfo
        {
            Name = name,
            Type = Text(name, value, "type") ?? throw new MgmtException(ErrorCode.QubesValueError, "The system info of %s has no type", name),
            Uuid = Text(name, value, "uuid") ?? (name == Spelling.Dom0 ? Spelling.Dom0Uuid[Spelling.UuidPrefix.Length..] : ""),
            Tags = Tags(name, value),
            TemplateForDispvms = IsSet(value, "template_for_dispvms"),
            DefaultDispvm = Text(name, value, "default_dispvm"),
            PowerState = Text(name, value, "power_state") ?? "Halted",
            Internal = IsSet(value, "internal"),
            RelayVm = Text(name, value, "relayvm"),
            TransportRpc = Text(name, value, "transport_rpc"),
        };
    }

    private static string? Text(string name, JsonElement value, string member)
    {
        if (!value.TryGetProperty(member, out var text) || text.ValueKind == JsonValueKind.Null)
            return null;
        return text.ValueKind == JsonValueKind.String ? text.GetString() : throw new MgmtException(ErrorCode.QubesValueError, "%s of %s is no text", member, name);
    }

    private static ImmutableSortedSet<string> Tags(string name, JsonElement value)
    {
        if (!value.TryGetProperty("tags", out var tags) || tags.ValueKind == JsonValueKind.Null)
            return ImmutableSortedSet.Create<string>(StringComparer.Ordinal);
        if (tags.ValueKind != JsonValueKind.Array || tags.EnumerateArray().Any(tag => tag.ValueKind != JsonValueKind.String))
            throw new MgmtException(ErrorCode.QubesValueError, "tags of %s is no list of texts", name);
        return ImmutableSortedSet.CreateRange(StringComparer.Ordinal, tags.EnumerateArray().Select(tag => tag.GetString()!));
    }

    // "internal" is a feature's value: any text but the empty one counts.
    private static bool IsSet(JsonElement value, string member) => value.TryGetProperty(member, out var flag) && flag.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.String => flag.GetString()!.Length > 0,
        _ => false,
    };
}
