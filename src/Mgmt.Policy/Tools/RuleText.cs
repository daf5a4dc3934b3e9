using System.Text;

namespace Mgmt.Policy;

/// <summary>A rule as a line of the new format.</summary>
internal static class RuleText
{
    public static string Line(Rule rule)
    {
        var line = new StringBuilder($"{rule.Service ?? "*"} {rule.Argument ?? "*"} {rule.Source.Text} {rule.Target.Text} {Word(rule.Action)}");
        if (rule.Redirect is { } redirect)
            line.Append(" target=").Append(redirect.Text);
        if (rule.DefaultTarget is { } preselected)
            line.Append(" default_target=").Append(preselected.Text);
        if (rule.User is { } user)
            line.Append(" user=").Append(user);
        if (!rule.Autostart)
            line.Append(" autostart=no");
        // A deny tells the user unless it says otherwise, and the others do not.
        if (rule.Notify != (rule.Action == PolicyAction.Deny))
            line.Append(" notify=").Append(rule.Notify ? "yes" : "no");
        return line.ToString();
    }

    private static string Word(PolicyAction action) => action switch
    {
        PolicyAction.Allow => "allow",
        PolicyAction.Ask => "ask",
        _ => "deny",
    };
}
