using Mgmt.Policy;

namespace Mgmt.Api;

// question = *( KEY "=" VALUE LF ), the last LF optional; service and source are needed; argument, target, value and requested_source may be absent
/// <summary>A question to the policy, as policy.Eval and policy.Explain take it.</summary>
internal static class PolicyQuestion
{
    private const int MaxWord = 256;
    private static readonly string[] Keys = ["service", "argument", "source", "target", "value", "requested_source"];

    /// <summary>ERRORS: QubesValueError; for management calls those of <see cref="Targets.Asked"/>.</summary>
    internal static PolicyRequest Parse(string payload, HostState state)
    {
        var fields = Fields(payload);
        var service = fields.GetValueOrDefault("service", "");
        if (service.Length is 0 or > MaxWord || !Charset.IsAll(service, Charset.Word))
        {
            throw Bad("a service");
        }
        var argument = fields.GetValueOrDefault("argument", "+") is { Length: > 0 } given ? given : "+";
        if (argument[0] != '+' || !Charset.IsAll(argument, Charset.Argument))
        {
            throw Bad("an argument that begins with +");
        }
        var source = Word(fields, "source") ?? throw Bad("a source");
        var target = Word(fields, "target") ?? "@default";
        return new(service, argument, Targets.CanonicalSource(state, source), IsManagement(service) ? Targets.Asked(state, new(service, argument[1..], source, false, target)) : target)
        {
            // As the calls themselves ask: only a value that could be an argument has rules.
            ValueArgument = fields.TryGetValue("value", out var value) && value.Length is > 0 and <= MaxWord && Charset.IsAll(value, Charset.Argument) ? $"{argument}+{value}" : null,
            RequestedSource = Word(fields, "requested_source"),
        };
    }

    private static Dictionary<string, string> Fields(string payload)
    {
        var fields = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var line in payload.TrimEnd('\n').Split('\n'))
        {
            var equals = line.IndexOf('=', StringComparison.Ordinal);
            var key = equals < 0 ? "" : line[..equals];
            if (!Keys.Contains(key) || !fields.TryAdd(key, line[(equals + 1)..]))
            {
                throw Bad("lines service=, argument=, source=, target=, value= and requested_source=, each once");
            }
        }
        return fields;
    }

    // Null when it is absent or empty.
    private static string? Word(Dictionary<string, string> fields, string key)
    {
        var word = fields.GetValueOrDefault(key, "");
        if (word.Any(c => c is <= ' ' or > '~'))
        {
            throw Bad($"a {key} without white space");
        }
        return word.Length > 0 ? word : null;
    }

    private static bool IsManagement(string service) => service.StartsWith("mgmt.", StringComparison.Ordinal) || service.StartsWith("admin.", StringComparison.Ordinal);

    private static MgmtException Bad(string expected) => new(ErrorCode.QubesValueError, "Not a question to the policy: expected %s", expected);
}
