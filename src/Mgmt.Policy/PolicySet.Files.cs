namespace Mgmt.Policy;

// Which files say something about a service.
public sealed partial class PolicySet
{
    /// <summary>The files with a rule for a service, or for any, each once, in the order of their rules; named as in <see cref="RuleLocation.File"/>, the built-in rule left out.</summary>
    /// <param name="service">The service's name; in a folded set both names of a management call find the same rules.</param>
    public IReadOnlyList<string> FilesFor(string service)
    {
        ArgumentNullException.ThrowIfNull(service);
        // The rule's own argument: any will do.
        return [.. _rules.Where(rule => rule.File != "builtin" && RuleIndex.Concerns(rule, new PolicyRequest(service, rule.Argument ?? "", "", ""), _fold)).Select(rule => rule.File).Distinct(StringComparer.Ordinal)];
    }
}
