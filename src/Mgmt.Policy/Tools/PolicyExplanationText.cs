using System.Collections.Immutable;
using System.Text;
using Mgmt.Core;

namespace Mgmt.Policy;

// explanation = "decision=" WORD LF "rule=" RULE LF "reason=" TEXT LF [ "text=" LINE LF ] *near *tag
// near        = "near=" RULE HT WHY HT LINE LF                          the line is empty when it is not shown
// tag         = "tag=" ( "add" / "remove" ) HT TAG HT VM HT DECISION HT RULE HT REASON LF
/// <summary>An explanation as lines, which policy.Explain answers and mgmtctl reads.</summary>
public static class PolicyExplanationText
{
    private const string Add = "add";
    private const string Remove = "remove";

    /// <summary>Writes the lines.</summary>
    public static string Write(PolicyExplanation explanation)
    {
        ArgumentNullException.ThrowIfNull(explanation);
        var text = new StringBuilder();
        Line(text, "decision=", explanation.Outcome.Decision);
        Line(text, "rule=", explanation.Outcome.Rule);
        Line(text, "reason=", explanation.Outcome.Message);
        if (explanation.Text.Length > 0)
            Line(text, "text=", explanation.Text);
        foreach (var miss in explanation.NearMisses)
            Line(text, "near=", miss.Rule, miss.Why, miss.Text);
        foreach (var change in explanation.TagChanges)
            Line(text, "tag=", change.Added ? Add : Remove, change.Tag, change.Vm, change.Outcome.Decision, change.Outcome.Rule, change.Outcome.Message);
        return text.ToString();
    }

    /// <summary>Reads them. ERRORS: QubesValueError.</summary>
    public static PolicyExplanation Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        string? decision = null, rule = null, reason = null;
        var line = "";
        var misses = ImmutableArray.CreateBuilder<NearMiss>();
        var changes = ImmutableArray.CreateBuilder<TagChange>();
        foreach (var (key, fields) in text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(Split))
        {
            switch (key, fields)
            {
                case ("decision", [var word]): decision = word; break;
                case ("rule", [var word]): rule = word; break;
                case ("reason", [var word]): reason = word; break;
                case ("text", [var word]): line = word; break;
                case ("near", [var where, var why, var its]): misses.Add(new NearMiss(where, its, why)); break;
                case ("tag", [Add or Remove, var tag, var vm, var then, var where, var why]): changes.Add(new TagChange(tag, fields[0] == Add, vm, new PolicyOutcome(then, where, why))); break;
                default: throw NoExplanation();
            }
        }
        if (decision is null || rule is null || reason is null)
            throw NoExplanation();
        return new PolicyExplanation(new PolicyOutcome(decision, rule, reason), line, misses.ToImmutable(), changes.ToImmutable());
    }

    private static (string Key, string[] Fields) Split(string line)
    {
        var equals = line.IndexOf('=', StringComparison.Ordinal);
        return equals < 0 ? ("", []) : (line[..equals], line[(equals + 1)..].Split('\t'));
    }

    // What separates lines and fields is a space within them.
    private static void Line(StringBuilder text, string key, params ReadOnlySpan<string> fields)
    {
        text.Append(key);
        for (var i = 0; i < fields.Length; i++)
            text.Append(i == 0 ? "" : "\t").Append(fields[i].Replace('\t', ' ').Replace('\n', ' ').Replace('\r', ' '));
        text.Append('\n');
    }

    private static MgmtException NoExplanation() => new(ErrorCode.QubesValueError, "Not an explanation of a policy's answer");
}
