namespace Mgmt.Policy.Tests;

[TestFixture]
public sealed class DiffTests
{
    [Test]
    public void A_diff_tells_each_question_that_is_answered_differently()
    {
        var changes = Diff("mgmt.vm.Start * work @tag:secret deny\ns * work vault allow", "s * work vault allow\nadmin.vm.Start * work @tag:secret allow\n");
        Assert.That(changes, Is.EqualTo(new[] { "mgmt.vm.Start + work vault deny>allow" }));
    }

    [Test]
    public void A_diff_tells_arguments_redirects_and_services_that_no_rule_names()
    {
        var changes = Diff("s * work vault allow", "s +a work vault deny\ns * work vault allow target=mgmt\n* * mgmt vault allow");
        Assert.That(changes, Is.SupersetOf(new[]
        {
            "* + mgmt vault deny>allow vault",
            "s + mgmt vault deny>allow vault",
            "s + work vault allow vault>allow mgmt",
            "s +a work vault allow vault>deny",
        }));
    }

    [Test]
    public void The_same_rules_elsewhere_are_no_difference() =>
        Assert.That(Diff("s * work vault allow\n# x\n\nt * work vault deny", "t * work vault deny\ns * work vault allow"), Is.Empty);

    [Test]
    public void A_graph_has_an_edge_for_what_is_allowed_or_asked()
    {
        var set = Sets.Make(Sets.Daemon, "s * work vault allow", "t +x work vault allow", "s * mgmt vault ask", "s * vault @default allow target=dom0", "mgmt.vm.Start * work mgmt allow");
        Assert.That(Draw(set, new PolicyGraphOptions { IncludeAsk = true }), Is.EqualTo("""
            digraph policy {
              "mgmt" -> "vault" [color=orange, label="s"];
              "vault" -> "dom0" [color=red, label="s"];
              "work" -> "mgmt" [color=red, label="mgmt.vm.Start"];
              "work" -> "vault" [color=red, label="s\nt+x"];
            }

            """));
        Assert.That(Draw(set, new PolicyGraphOptions { Services = ["admin.vm.Start"] }), Is.EqualTo("digraph policy {\n  \"work\" -> \"mgmt\" [color=red, label=\"mgmt.vm.Start\"];\n}\n"));
        Assert.That(Draw(set, new PolicyGraphOptions { Sources = ["vault"], Labels = false }), Is.EqualTo("digraph policy {\n  \"vault\" -> \"dom0\" [color=red];\n}\n"));
        Assert.That(Draw(set, new PolicyGraphOptions { Targets = ["vault"], Services = ["s", "t"] }), Is.EqualTo("digraph policy {\n  \"work\" -> \"vault\" [color=red, label=\"s\\nt+x\"];\n}\n"), "asked for is drawn only when wanted");
        Assert.That(Draw(set, new PolicyGraphOptions { Sources = ["dom0"], Targets = ["mgmt"], Services = ["s"] }), Is.EqualTo("digraph policy {\n  \"dom0\" -> \"mgmt\" [color=red, label=\"s\"];\n}\n"));
    }

    [Test]
    public void A_list_to_choose_from_that_changes_is_a_difference() =>
        Assert.That(Diff("s * work vault ask\ns * work mgmt ask", "s * work vault ask\ns * work mgmt deny"), Has.Member("s + work vault ask>ask"));

    private static string Draw(PolicySet set, PolicyGraphOptions options) => PolicyGraph.Write(set, TestDomains.Office(), options);

    private static IEnumerable<string> Diff(string before, string after) =>
        PolicyDiff.Between(Sets.Make(Sets.Daemon, before), Sets.Make(Sets.Daemon, after), TestDomains.Office())
            .Select(change => $"{change.Request.Service} {change.Request.Argument} {change.Request.Source} {change.Request.Target} {Text(change.Before)}>{Text(change.After)}");

    private static string Text(PolicyOutcome outcome) => outcome.GoesTo is { } target ? $"{outcome.Decision} {target}" : outcome.Decision;
}
