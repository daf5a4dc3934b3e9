using System.Collections.Immutable;

namespace Mgmt.Policy;

/// <summary>What the policy language can ask about one VM.</summary>
public sealed record DomainInfo
{
    /// <summary>The VM's name; `dom0` for the host.</summary>
    public required string Name { get; init; }

    /// <summary>The VM's class, compared with `@type:`: AdminVM, AppVM, TemplateVM, StandaloneVM, DispVM or RemoteVM.</summary>
    public required string Type { get; init; }

    /// <summary>The UUID, 36 characters in lower case, without `uuid:`.</summary>
    public required string Uuid { get; init; }

    /// <summary>The tags, compared with `@tag:`; ordered ordinally.</summary>
    public ImmutableSortedSet<string> Tags { get; init; } = ImmutableSortedSet.Create<string>(StringComparer.Ordinal);

    /// <summary>Whether disposables may be made from this VM.</summary>
    public bool TemplateForDispvms { get; init; }

    /// <summary>The template that `@dispvm` means when this VM asks; null when it has none.</summary>
    public string? DefaultDispvm { get; init; }

    /// <summary>The state as `autostart=no` reads it; only `Running` counts as started.</summary>
    public string PowerState { get; init; } = "Halted";

    /// <summary>Whether the VM is hidden from lists of targets to choose from.</summary>
    public bool Internal { get; init; }

    /// <summary>For a RemoteVM the name of the VM its calls go through; null when none is set.</summary>
    public string? RelayVm { get; init; }

    /// <summary>For a RemoteVM the service that carries its calls; null when none is set.</summary>
    public string? TransportRpc { get; init; }
}
