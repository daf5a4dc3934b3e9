using Mgmt.Policy;

namespace Mgmt.Api;

// question = *( KEY "=" VALUE LF ), the last LF optional; service and source are needed; argument, target and value may be absent
/// <summary>A question about a management call, as policy.Eval takes it.</summary>
internal static class PolicyQuestion
{
    /// <summary>ERRORS: QubesValueError; those of <see cref="Targets.Asked"/>.</summary>
    internal static PolicyRequest Parse(string payload, HostState state)
    {
        var fields = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var line in payload.TrimEnd('\n').Split('\n'))
        {
            var equals = line.IndexOf('=', StringComparison.Ordinal);
            var key = equals < 0 ? "" : line[..equals];
            if (key is not ("service" or "argument" or "source" or "target" or "value") || !fields.TryAdd(key, line[(equals + 1)..]))
            {
                throw Bad("lines service=, argument=, source=, target= and value=, each once");
            }
        }
        var service = fields.GetValueOrDefault("service", "");
        if ((!service.StartsWith("mgmt.", StringComparison.Ordinal) && !service.StartsWith("admin.", StringComparison.Ordinal)) || !Charset.IsAll(service, Charset.Word))
        {
            throw Bad("a service that begins with mgmt. or admin.");
        }
        var argument = fields.GetValueOrDefault("argument", "+") is { Length: > 0 } given ? given : "+";
        if (argument[0] != '+' || !Charset.IsAll(argument, Charset.Argument))
        {
            throw Bad("an argument that begins with +");
        }
        if (fields.GetValueOrDefault("source", "") is not { Length: > 0 } source || source.Any(c => c is <= ' ' or > '~'))
        {
            throw Bad("a source");
        }
        var target = fields.GetValueOrDefault("target", "") is { Length: > 0 } named ? named : "@default";
        return new(service, argument, Targets.CanonicalSource(state, source), Targets.Asked(state, new(service, argument[1..], source, false, target)))
        {
            // As the calls themselves ask: only a value that could be an argument has rules.
            ValueArgument = fields.TryGetValue("value", out var value) && value.Length is > 0 and <= 256 && Charset.IsAll(value, Charset.Argument) ? $"{argument}+{value}" : null,
        };
    }

    private static MgmtException Bad(string expected) => new(ErrorCode.QubesValueError, "Not a question to the policy: expected %s", expected);
}
