namespace Mgmt.Policy;

/// <summary>One question to the policy.</summary>
/// <param name="Service">The service's name, without an argument.</param>
/// <param name="Argument">Empty, or `+` and the argument; empty and `+` are the same.</param>
/// <param name="Source">The calling VM: a name or `uuid:UUID`.</param>
/// <param name="Target">What the caller asked for: a name, `uuid:UUID`, `@adminvm`, `@dispvm`, `@dispvm:NAME`, `@default`; empty is `@default`.</param>
public sealed record PolicyRequest(string Service, string Argument, string Source, string Target)
{
    /// <summary>A second spelling of the argument, `+NAME+VALUE`, that a rule may name as well; null when there is none.</summary>
    public string? ValueArgument { get; init; }

    /// <summary>The RemoteVM that <see cref="Source"/> says it relays for; null when it speaks for itself.</summary>
    public string? RequestedSource { get; init; }
}
