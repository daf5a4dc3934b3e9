using System.Collections.Immutable;
using System.Text.Json;

namespace Mgmt.Policy.Tests;

internal sealed class TestDomains : IDomainDirectory
{
    private readonly Dictionary<string, DomainInfo> _byName = new(StringComparer.Ordinal);

    public IEnumerable<DomainInfo> All => _byName.Where(pair => pair.Key == pair.Value.Name).Select(pair => pair.Value);

    public DomainInfo? Find(string nameOrUuid) => _byName.GetValueOrDefault(nameOrUuid);

    public TestDomains Add(DomainInfo domain)
    {
        _byName[domain.Name] = domain;
        _byName["uuid:" + domain.Uuid] = domain;
        return this;
    }

    public TestDomains Add(string name, string type = "AppVM", string tags = "", string? dispvm = null, bool template = false, string state = "Running", bool hidden = false) => Add(new DomainInfo
    {
        Name = name,
        Type = type,
        Uuid = Uuid(name),
        Tags = Sorted(tags.Split(' ', StringSplitOptions.RemoveEmptyEntries)),
        DefaultDispvm = dispvm,
        TemplateForDispvms = template,
        PowerState = state,
        Internal = hidden,
    });

    /// <summary>dom0 and a few VMs: work and mgmt (tag team), vault (halted, tag secret), dvm (a template, tag d), hidden.</summary>
    public static TestDomains Office() => new TestDomains()
        .Add("dom0", "AdminVM", "host")
        .Add("work", tags: "team", dispvm: "dvm")
        .Add("mgmt", tags: "team")
        .Add("vault", tags: "secret", state: "Halted")
        .Add("dvm", tags: "d", template: true)
        .Add("tmpl", "TemplateVM")
        .Add("hidden", hidden: true);

    public static string Uuid(string name)
    {
        if (name == "dom0")
            return "00000000-0000-0000-0000-000000000000";
        var hash = name.Aggregate(17u, (sum, c) => sum * 31 + c);
        return $"{hash:x8}-1111-4222-8333-000000000001";
    }

    public static TestDomains Parse(JsonElement systemInfo)
    {
        var domains = new TestDomains();
        foreach (var domain in systemInfo.GetProperty("domains").EnumerateObject())
            domains.Add(Parse(domain.Name, domain.Value));
        return domains;
    }

    private static DomainInfo Parse(string name, JsonElement value) => new()
    {
        Name = name,
        Type = value.GetProperty("type").GetString()!,
        Uuid = value.GetProperty("uuid").GetString()!,
        Tags = Sorted(value.GetProperty("tags").EnumerateArray().Select(tag => tag.GetString()!)),
        TemplateForDispvms = value.GetProperty("template_for_dispvms").GetBoolean(),
        DefaultDispvm = Text(value, "default_dispvm"),
        PowerState = value.GetProperty("power_state").GetString()!,
        Internal = value.TryGetProperty("internal", out var hidden) && hidden.ValueKind is not (JsonValueKind.Null or JsonValueKind.False),
        RelayVm = Text(value, "relayvm"),
        TransportRpc = Text(value, "transport_rpc"),
    };

    private static string? Text(JsonElement value, string name) => value.TryGetProperty(name, out var text) ? text.GetString() : null;

    private static ImmutableSortedSet<string> Sorted(IEnumerable<string> tags) => ImmutableSortedSet.CreateRange(StringComparer.Ordinal, tags);
}
