namespace Mgmt.Policy;

/// <summary>Why the policy language denies.</summary>
public enum DenyReason
{
    /// <summary>A deny rule matched.</summary>
    Rule,
    /// <summary>No rule matched.</summary>
    NoMatch,
    /// <summary>The rule allows, but neither it nor the caller names a target that exists.</summary>
    NoTarget,
    /// <summary>The target is `@dispvm` and the source has no default template for disposables.</summary>
    NoDispvm,
    /// <summary>The target is `@dispvm:NAME` and NAME is no template for disposables.</summary>
    NotDispvmTemplate,
    /// <summary>The rule says autostart=no and the target does not run.</summary>
    Autostart,
    /// <summary>The rule asks, and there is nothing to choose from.</summary>
    NoAskTargets,
    /// <summary>Anything else.</summary>
    Other,
}
