namespace Mgmt.Policy;

/// <summary>A request whose source and target have been checked against the directory; the error is null when it is valid.</summary>
internal readonly record struct CheckedRequest(string Source, string Target, string? Error)
{
    public static CheckedRequest Check(PolicyRequest request, IDomainDirectory domains)
    {
        if (request.Argument.Length > 0 && request.Argument[0] != '+')
            return Invalid($"argument {Spelling.Quote(request.Argument)} does not start with +");
        var target = CheckTarget(request.Target, domains, out var targetError);
        if (targetError is not null)
            return Invalid(targetError);
        if (request.RequestedSource is not { } requested)
            return new CheckedRequest(request.Source, target, null);
        return CheckRelay(request.Source, requested, domains) is { } error ? Invalid(error) : new CheckedRequest(requested, target, null);
    }

    /// <summary>The target as the rules see it: a name that is not known is `@default`.</summary>
    public static string CheckTarget(string target, IDomainDirectory domains, out string? error)
    {
        error = null;
        if (target.Length == 0)
            return Spelling.Default;
        if (target is Spelling.Default or Spelling.DispVm || Spelling.IsDom0(target))
            return target;
        if (target.StartsWith(Spelling.DispVmPrefix, StringComparison.Ordinal))
        {
            error = CheckDispVm(target, domains);
            return target;
        }
        if (target == "*" || target.StartsWith('@'))
            error = $"invalid target {Spelling.Quote(target)}: expected a VM name, uuid:UUID, @adminvm, @default, @dispvm or @dispvm:TEMPLATE";
        return domains.Find(target) is null ? Spelling.Default : target;
    }

    private static string? CheckDispVm(string target, IDomainDirectory domains)
    {
        var template = target[Spelling.DispVmPrefix.Length..];
        if (template.Length == 0 || template.StartsWith('@'))
            return $"invalid target {Spelling.Quote(target)}: expected @dispvm:TEMPLATE";
        return domains.Find(template) is { TemplateForDispvms: true } ? null : $"not a template for dispvm: {template}";
    }

    private static string? CheckRelay(string source, string requested, IDomainDirectory domains)
    {
        if (domains.Find(requested) is not { } remote)
            return $"unknown requested source: {requested}";
        if (remote.Type != "RemoteVM")
            return $"{requested}: only a RemoteVM may be a requested source";
        var relay = source.StartsWith(Spelling.UuidPrefix, StringComparison.Ordinal) ? domains.Find(source)?.Name : source;
        return remote.RelayVm is not null && remote.RelayVm == relay ? null : $"{source} is not a relay for {requested}";
    }

    private static CheckedRequest Invalid(string error) => new("", "", error);
}
