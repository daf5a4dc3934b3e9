using System.Globalization;
using System.Text;

namespace Mgmt.Policy;

/// <summary>What a change of rules changes for the VMs there are.</summary>
public static class PolicyDiff
{
    /// <summary>
    /// The questions that two sets answer differently: each service and argument named in a rule of either, from each VM to each VM. Calls that
    /// both have the same rules for are not asked.
    /// </summary>
    /// <param name="before">A set.</param>
    /// <param name="after">Another one.</param>
    /// <param name="domains">The VMs.</param>
    /// <returns>The changes, by service, argument, source and target; another rule alone is none.</returns>
    public static IEnumerable<DecisionChange> Between(PolicySet before, PolicySet after, IDomainDirectory domains)
    {
        ArgumentNullException.ThrowIfNull(before);
        ArgumentNullException.ThrowIfNull(after);
        ArgumentNullException.ThrowIfNull(domains);
        return Changes(before, after, domains);
    }

    private static IEnumerable<DecisionChange> Changes(PolicySet before, PolicySet after, IDomainDirectory domains)
    {
        var calls = PolicyQuestions.Calls(before.Rules.Concat(after.Rules)).GroupBy(call => call.Service);
        foreach (var service in calls.Where(group => Signature(before, group.Key) != Signature(after, group.Key)))
        {
            foreach (var (_, argument) in service)
            {
                foreach (var source in PolicyQuestions.Names(domains))
                {
                    foreach (var target in PolicyQuestions.Targets(service.Key, domains))
                    {
                        var request = new PolicyRequest(service.Key, argument, source, target);
                        var (old, now) = (PolicyOutcome.Of(before, request, domains), PolicyOutcome.Of(after, request, domains));
                        if (old.Decision != now.Decision || old.GoesTo != now.GoesTo || old.Choices != now.Choices)
                            yield return new DecisionChange(request, old, now);
                    }
                }
            }
        }
    }

    // What the rules about a service say, wherever they stand.
    private static string Signature(PolicySet set, string service)
    {
        var text = new StringBuilder();
        foreach (var rule in set.Rules)
        {
            if (set.IsAbout(rule, service))
                text.Append(CultureInfo.InvariantCulture, $"{rule.Argument} {rule.Source.Text} {rule.Target.Text} {rule.Action} {rule.Redirect?.Text} {rule.DefaultTarget?.Text} {rule.User} {rule.Autostart}\n");
        }
        return text.ToString();
    }
}
