using System.Collections.Immutable;

namespace Mgmt.Policy;

/// <summary>The answer of the policy language to a <see cref="PolicyRequest"/>.</summary>
public abstract record PolicyDecision
{
    private PolicyDecision()
    {
    }

    /// <summary>The deciding rule as `FILE:LINE`; null when no rule decided.</summary>
    public string? Rule { get; init; }

    /// <summary>Whether the user is to be told.</summary>
    public bool Notify { get; init; }

    /// <summary>The call may go to <see cref="Target"/>.</summary>
    /// <param name="Target">A name, `uuid:UUID`, `dom0`, or `@dispvm:TEMPLATE`.</param>
    /// <param name="User">The user to run as in the target; null is the target's default.</param>
    /// <param name="Autostart">Whether the target may be started for this call.</param>
    public sealed record Allow(string Target, string? User, bool Autostart) : PolicyDecision
    {
        /// <summary>Why the allowed call can still not be carried out (a VM calling itself, a RemoteVM without a relay); null when it can.</summary>
        public string? Refused { get; init; }
    }

    /// <summary>The user is to choose one of <see cref="Targets"/>.</summary>
    /// <param name="Targets">Names, `dom0` and `@dispvm:TEMPLATE`, ordered ordinally, never empty.</param>
    /// <param name="DefaultTarget">The one to preselect, in the list; null for none.</param>
    /// <param name="User">The user to run as in the target; null is the target's default.</param>
    /// <param name="Autostart">Whether the target may be started for this call.</param>
    public sealed record Ask(ImmutableArray<string> Targets, string? DefaultTarget, string? User, bool Autostart) : PolicyDecision;

    /// <summary>The call is denied.</summary>
    /// <param name="Reason">Why.</param>
    /// <param name="Message">The same as a sentence for logs.</param>
    public sealed record Deny(DenyReason Reason, string Message) : PolicyDecision;

    /// <summary>The request itself is not valid, so no rule was read: a refusal.</summary>
    /// <param name="Message">What is wrong with it.</param>
    public sealed record RequestError(string Message) : PolicyDecision;
}
