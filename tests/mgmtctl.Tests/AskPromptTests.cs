using Mgmt.Cli.Asking;
using Mgmt.Core;

namespace Mgmt.Cli.Tests;

/// <summary>What a question looks like on a terminal, and what keys mean.</summary>
public sealed class AskPromptTests
{
    [TestCase("1", "allow:work")]
    [TestCase("3", "allow:@dispvm:dvm")]
    [TestCase("4", null)]
    [TestCase("0", null)]
    [TestCase("n", "deny")]
    [TestCase("N", "deny")]
    [TestCase("\x1b", "deny")]
    [TestCase("y", null)]
    [TestCase("\r", null)]
    [TestCase("\n", null)]
    [TestCase("x", null)]
    [TestCase(" ", null)]
    public void A_digit_allows_that_target_n_and_Esc_deny_and_without_a_default_yes_means_nothing(string keys, string? answer) =>
        Assert.That(Press(Prompt("work vault @dispvm:dvm", ""), keys), Is.EqualTo(answer));

    [TestCase("y", "allow:vault")]
    [TestCase("Y", "allow:vault")]
    [TestCase("\r", "allow:vault")]
    [TestCase("\n", "allow:vault")]
    [TestCase("1", "allow:work")]
    public void With_a_default_yes_and_Enter_mean_it(string keys, string? answer) => Assert.That(Press(Prompt("work vault", "vault"), keys), Is.EqualTo(answer));

    [Test]
    public void A_default_that_is_not_offered_is_none() => Assert.That(Press(Prompt("work", "vault"), "y\r"), Is.Null);

    [TestCase("12\r", "allow:v12")]
    [TestCase("1\r", "allow:v1")]
    [TestCase("1", null)]
    [TestCase("13\r", null)]
    [TestCase("13\r2\n", "allow:v2")]
    [TestCase("99999999999\r", null)]
    [TestCase("12\x7f\r", "allow:v1")]
    [TestCase("\b\b3\r", "allow:v3")]
    [TestCase("\r", "allow:v7")]
    [TestCase("n", "deny")]
    public void With_more_than_nine_targets_a_number_is_typed(string keys, string? answer) =>
        Assert.That(Press(Prompt(string.Join(' ', Enumerable.Range(1, 12).Select(i => $"v{i}")), "v7"), keys), Is.EqualTo(answer));

    [Test]
    public void The_question_names_source_call_argument_targets_and_rule_and_the_time_that_is_left()
    {
        var prompt = Prompt("work vault", "vault");
        Assert.That(string.Join('\n', prompt.Lines()), Is.EqualTo("""
            web calls mgmt.vm.Start
              argument  +a
              target    1  work
                        2  vault  (default)
              asked by  30-user.policy:4
            """));
        Assert.That(prompt.Status(TimeSpan.FromSeconds(41.2), 2), Is.EqualTo("[1-2: allow, y or Enter: allow default, n or Esc: deny]  42 s, 2 more     "));
        Assert.That(Prompt("work", "").Status(TimeSpan.FromSeconds(-1), 0), Is.EqualTo("[1: allow, n or Esc: deny]   0 s     "));
    }

    [TestCase("a\x1b[2Jb", "a\\u001b[2Jb")]
    [TestCase("a\nb\rc\td\x7f", "a\\u000ab\\u000dc\\u0009d\\u007f")]
    [TestCase("\u202eevil\u009b", "\\u202eevil\\u009b")]
    [TestCase("w\u043erk", "w\\u043erk")]
    public void Text_from_elsewhere_moves_no_cursor_and_looks_like_no_other(string text, string shown) => Assert.That(AskedQuestion.Shown(text), Is.EqualTo(shown));

    [Test]
    public void A_long_text_pushes_nothing_away() => Assert.That(AskedQuestion.Shown(new string('a', 5000)), Is.EqualTo(new string('a', 120) + "... (5000 characters)"));

    [TestCase("id", "")]
    [TestCase("targets", " ")]
    [TestCase("left_ms", "soon")]
    [TestCase("left_ms", "-1")]
    public void An_event_that_cannot_be_answered_is_no_question(string key, string value) => Assert.That(AskedQuestion.Parse(Told("work", "", (key, value))), Is.Null);

    private static AskPrompt Prompt(string targets, string preselected) => new(AskedQuestion.Parse(Told(targets, preselected))!);

    private static string? Press(AskPrompt prompt, string keys) => keys.Select(key => prompt.Press((byte)key)).FirstOrDefault(answer => answer is not null);

    private static MgmtEvent Told(string targets, string preselected, params (string Key, string Value)[] instead)
    {
        var pairs = new Dictionary<string, string>
        {
            ["id"] = "ab", ["source"] = "web", ["service"] = "mgmt.vm.Start", ["argument"] = "+a", ["targets"] = targets, ["default"] = preselected, ["rule"] = "30-user.policy:4", ["left_ms"] = "60000",
        };
        foreach (var (key, value) in instead)
        {
            pairs[key] = value;
        }
        return MgmtEvent.Global("policy-ask", [.. pairs.Select(pair => (pair.Key, pair.Value))]);
    }
}
