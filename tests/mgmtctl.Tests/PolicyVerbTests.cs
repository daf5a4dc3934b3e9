using System.Text.Json;
using Mgmt.Testing;

namespace Mgmt.Cli.Tests;

public sealed class PolicyVerbTests
{
    private const string Vms = """
        {"domains": {
          "dom0": {"type": "AdminVM", "tags": []},
          "work": {"type": "AppVM", "tags": ["team"], "uuid": "5e7ab1e0-0000-4000-8000-000000000007"},
          "vault": {"type": "AppVM", "tags": ["secret"]},
          "mgmt": {"type": "AppVM", "tags": []}}}
        """;

    private string _directory = null!;

    [SetUp]
    public void MakeDirectory()
    {
        _directory = Directory.CreateTempSubdirectory("mgmtctl-policy-").FullName;
        File.WriteAllText(Path.Join(_directory, "vms.json"), Vms);
        Directory.CreateDirectory(Path.Join(_directory, "etc"));
    }

    [TearDown]
    public void RemoveDirectory() => Directory.Delete(_directory, recursive: true);

    [Test]
    [CancelAfter(60_000)]
    public async Task Eval_of_cases_agrees_with_the_engine_but_for_shorter_lists_of_ask(CancellationToken token)
    {
        var cases = await File.ReadAllLinesAsync(Path.Join(Repository.Root, "tests", "Mgmt.Policy.Tests", "vectors", "policy-cases.jsonl"), token);
        var ctl = new Ctl("/nonexistent") { Input = string.Join('\n', cases) + "\n" };
        Assert.That(await ctl.RunAsync(token, "policy", "eval", "--jsonl"), Is.Zero, ctl.Error);
        var answers = ctl.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(answers, Has.Length.EqualTo(260).And.Length.EqualTo(cases.Length));
        var shorter = cases.Zip(answers, (line, answer) => Compare(JsonDocument.Parse(line).RootElement.GetProperty("expect"), JsonDocument.Parse(answer).RootElement)).Sum();
        Assert.That(shorter, Is.EqualTo(10));
    }

    [TestCase("{\"policy\": 1}")]
    [TestCase("{")]
    [TestCase("{\"policy\": {}, \"requests\": [{\"service\": \"\\ud800\"}]}")]
    [TestCase("{\"policy\": {\"30-x.policy\": \"\\udc00\"}, \"requests\": []}")]
    [TestCase("{\"policy\": {\"30-x.policy\": 1}, \"requests\": []}")]
    [CancelAfter(60_000)]
    public async Task Eval_of_a_line_that_is_no_case_names_the_line(string line, CancellationToken token)
    {
        var ctl = new Ctl("/nonexistent") { Input = $"\n{line}\n" };
        Assert.That(await ctl.RunAsync(token, "policy", "eval", "--jsonl"), Is.EqualTo(1));
        Assert.That(ctl.Error, Does.StartWith("mgmtctl: Line 2 is no case"));
    }

    [TestCase("mgmt.vm.Start", "mgmt", "vault", 0, "allow\nrule\t30-x.policy:2")]
    [TestCase("admin.vm.Start", "mgmt", "vault", 0, "allow\nrule\t30-x.policy:2")]
    [TestCase("mgmt.vm.Start", "mgmt", "work", 126, "deny\nrule\t-")]
    [TestCase("mgmt.vm.Start", "dom0", "work", 0, "allow\nrule\tbuiltin:1")]
    [TestCase("mgmt.vm.property.Set+netvm+work", "mgmt", "vault", 0, "allow\nrule\t30-x.policy:3")]
    [TestCase("mgmt.vm.property.Set+netvm+mgmt", "mgmt", "vault", 126, "deny\nrule\t-")]
    [TestCase("qubes.Filecopy", "work", "vault", 126, "ask\nrule\t30-x.policy:4")]
    public async Task Eval_answers_as_the_daemon_does(string call, string source, string target, int code, string expected)
    {
        Write("etc/30-x.policy", "# rules\nmgmt.vm.Start * mgmt @tag:secret allow target=dom0\nmgmt.vm.property.Set +netvm+work mgmt vault allow\nqubes.Filecopy * @anyvm @anyvm ask\n");
        var ctl = new Ctl("/nonexistent");
        Assert.That(await RunAsync(ctl, ["policy", "eval", call, source, target]), Is.EqualTo(code), ctl.Error);
        Assert.That(ctl.Out, Does.StartWith("decision\t" + expected));
    }

    [Test]
    public async Task Eval_of_a_broken_policy_tells_its_mistakes_and_is_refused()
    {
        Write("etc/30-x.policy", "oops\nalso oops\n");
        var ctl = new Ctl("/nonexistent");
        Assert.That(await RunAsync(ctl, ["policy", "eval", "s", "work", "vault"]), Is.EqualTo(1));
        Assert.That(ctl.Error, Does.Contain("30-x.policy:1:1:").And.Contain("30-x.policy:2:1:"));
    }

    [Test]
    public async Task Eval_without_a_question_is_wrong_usage() =>
        Assert.That(await RunAsync(new Ctl("/nonexistent"), ["policy", "eval", "s", "work"]), Is.EqualTo(2));

    [Test]
    public async Task Lint_tells_errors_and_warnings_and_the_runtime_directory_hides_a_file()
    {
        Write("etc/10-hidden.policy", "oops");
        Write("run/10-hidden.policy", "s * $anyvm vault deny");
        Write("etc/30-x.policy", "s * work gone allow\ns * work\n");
        var ctl = new Ctl("/nonexistent");
        Assert.That(await RunAsync(ctl, ["policy", "lint"]), Is.EqualTo(1));
        Assert.That(ctl.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries), Is.EqualTo(new[]
        {
            "30-x.policy:2:1: error: too few words: expected SERVICE ARG SOURCE TARGET ACTION and parameters",
            "10-hidden.policy:1:5: warning: '$anyvm' is a VM name here: write @ for $",
            "30-x.policy:1:10: warning: there is no VM 'gone'",
        }));
    }

    [TestCase(false, 0)]
    [TestCase(true, 1)]
    public async Task Warnings_fail_lint_only_when_it_is_strict(bool strict, int code)
    {
        Write("etc/30-x.policy", "s * @anyvm @adminvm allow\n");
        var ctl = new Ctl("/nonexistent");
        Assert.That(await RunAsync(ctl, ["policy", "lint", "--json", .. strict ? new[] { "--strict" } : []]), Is.EqualTo(code));
        var item = JsonDocument.Parse(ctl.Out).RootElement[0];
        Assert.That((item.GetProperty("file").GetString(), item.GetProperty("line").GetInt32(), item.GetProperty("column").GetInt32(), item.GetProperty("severity").GetString()), Is.EqualTo(("30-x.policy", 1, 5, "warning")));
    }

    [Test]
    public async Task Lint_of_a_file_checks_it_where_it_would_be()
    {
        Write("etc/30-x.policy", "s * work vault deny\noops\n");
        Write("40-new.policy", "s * work vault allow\n");
        var ctl = new Ctl("/nonexistent");
        var file = Path.Join(_directory, "40-new.policy");
        Assert.That(await RunAsync(ctl, ["policy", "lint", file]), Is.Zero);
        Assert.That(ctl.Out, Is.EqualTo($"{file}:1:1: warning: this rule never matches: 30-x.policy:1 comes first and takes everything it could\n"));
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task Lint_without_a_daemon_and_without_vms_checks_the_rest(CancellationToken token)
    {
        Write("etc/30-x.policy", "s * nobody gone allow\n");
        var ctl = new Ctl("/nonexistent");
        Assert.That(await ctl.RunAsync(token, "policy", "lint", "--policy-dir", Path.Join(_directory, "etc")), Is.Zero);
        Assert.That((ctl.Out, ctl.Error), Is.EqualTo(("", ctl.Error)));
        Assert.That(ctl.Error, Does.Contain("the VMs are not known"));
    }

    [TestCase("policy lint")]
    [TestCase("policy eval s work vault")]
    [TestCase("policy explain s work vault --system-info vms.json")]
    [TestCase("policy graph")]
    [TestCase("policy diff .")]
    [TestCase("policy edit 30-x")]
    [TestCase("policy convert --legacy-dir .")]
    [CancelAfter(60_000)]
    public async Task Without_a_directory_and_without_a_daemon_a_tool_says_so_and_reads_nothing_else(string args, CancellationToken token)
    {
        var ctl = new Ctl("/nonexistent");
        Assert.That(await ctl.RunAsync(token, args.Split(' ')), Is.EqualTo(1));
        Assert.That((ctl.Out, ctl.Error), Is.EqualTo(("", ctl.Error)));
        Assert.That(ctl.Error, Does.Contain("/nonexistent"));
    }

    [Test]
    public async Task A_graph_is_written_to_a_file_as_a_picture()
    {
        Write("etc/30-x.policy", "mgmt.vm.Start * mgmt @tag:secret allow\ns * work vault ask\n");
        var (ctl, picture) = (new Ctl("/nonexistent"), Path.Join(_directory, "graph.svg"));
        Assert.That(await RunAsync(ctl, ["policy", "graph", "--svg", "--include-ask", "--output", picture]), Is.Zero, ctl.Error);
        var svg = await File.ReadAllTextAsync(picture);
        Assert.That(ctl.Out, Is.Empty);
        Assert.That(svg, Does.Contain("<svg").And.Contain("mgmt.vm.Start").And.Contain("red").And.Contain("orange"));
    }

    [TestCase("--source work", "")]
    [TestCase("--source mgmt", "  \"mgmt\" -> \"vault\" [color=red, label=\"mgmt.vm.Start\"];\n")]
    [TestCase("--target vault --include-ask --skip-labels", "  \"mgmt\" -> \"vault\" [color=red];\n  \"work\" -> \"vault\" [color=orange];\n")]
    [TestCase("--service s --service t", "")]
    public async Task A_graph_shows_what_is_wanted(string options, string edges)
    {
        Write("etc/30-x.policy", "mgmt.vm.Start * mgmt @tag:secret allow\ns * work vault ask\n");
        var ctl = new Ctl("/nonexistent");
        Assert.That(await RunAsync(ctl, ["policy", "graph", .. options.Split(' ')]), Is.Zero, ctl.Error);
        Assert.That(ctl.Out, Is.EqualTo($"digraph policy {{\n{edges}}}\n"));
    }

    [Test]
    public async Task Two_directories_and_policy_dir_are_wrong_usage_of_diff() =>
        Assert.That(await RunAsync(new Ctl("/nonexistent"), ["policy", "diff", "a", "b"]), Is.EqualTo(2));

    [Test]
    [CancelAfter(60_000)]
    public async Task Explain_asks_the_daemon_for_the_vms(CancellationToken token)
    {
        Write("etc/30-x.policy", "mgmt.vm.Start * vault @tag:secret deny\nmgmt.vm.Start * vault work allow\n");
        var (code, ctl, requests) = await Ctl.AgainstAsync(
            "0\0{\"vms\": {\"debian\": {\"class\": \"TemplateVM\", \"properties\": {\"label\": \"black\"}}, \"work\": {\"class\": \"AppVM\", \"properties\": {\"label\": \"red\", \"template\": \"debian\"}}}}",
            token, "policy", "explain", "mgmt.vm.Start", "vault", "work", "--policy-dir", Path.Join(_directory, "etc"));
        Assert.That(code, Is.Zero, ctl.Error);
        Assert.That(requests.Single(), Does.StartWith("mgmt.host.Export+ dom0 name dom0"));
        Assert.That(ctl.Out, Is.EqualTo("""
            allow: allowed by 30-x.policy:2
            30-x.policy:2: mgmt.vm.Start * vault work allow
            not 30-x.policy:1: mgmt.vm.Start * vault @tag:secret deny (target: work is not @tag:secret)
            with the tag secret on work: deny, denied by policy 30-x.policy:1

            """));
    }

    [Test]
    public async Task Explain_in_json_has_the_same()
    {
        Write("etc/30-x.policy", "mgmt.vm.Start * mgmt @tag:secret allow\n");
        var ctl = new Ctl("/nonexistent");
        Assert.That(await RunAsync(ctl, ["policy", "explain", "mgmt.vm.Start", "mgmt", "vault", "--json"]), Is.Zero);
        var json = JsonDocument.Parse(ctl.Out).RootElement;
        Assert.That((json.GetProperty("decision").GetString(), json.GetProperty("text").GetString(), json.GetProperty("tags")[0].GetProperty("change").GetString()), Is.EqualTo(("allow", "mgmt.vm.Start * mgmt @tag:secret allow", "remove")));
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task Diff_and_graph_draw_on_rules_and_vms(CancellationToken token)
    {
        Write("etc/30-x.policy", "mgmt.vm.Start * mgmt @tag:secret allow\n");
        Write("new/30-x.policy", "mgmt.vm.Start * mgmt @tag:team allow\n");
        var diff = new Ctl("/nonexistent");
        var code = await diff.RunAsync(token, "policy", "diff", Path.Join(_directory, "etc"), Path.Join(_directory, "new"), "--system-info", Path.Join(_directory, "vms.json"));
        Assert.That((code, diff.Out), Is.EqualTo((0, "mgmt.vm.Start\t+\tmgmt\tvault\tallow\tdeny\t30-x.policy:1\t-\nmgmt.vm.Start\t+\tmgmt\twork\tdeny\tallow\t-\t30-x.policy:1\n")));
        var graph = new Ctl("/nonexistent");
        Assert.That(await RunAsync(graph, ["policy", "graph"]), Is.Zero);
        Assert.That(graph.Out, Is.EqualTo("digraph policy {\n  \"mgmt\" -> \"vault\" [color=red, label=\"mgmt.vm.Start\"];\n}\n"));
    }

    // Gives how many answers offer less than the engine does, which is the one difference that may be.
    private static int Compare(JsonElement expected, JsonElement actual)
    {
        Assert.That(actual.ValueKind, Is.EqualTo(expected.ValueKind), actual.ToString());
        if (expected.ValueKind == JsonValueKind.Object)
        {
            foreach (var name in new[] { "file", "line" }.Where(name => expected.TryGetProperty(name, out _)))
                Assert.That(actual.GetProperty(name).ToString(), Is.EqualTo(expected.GetProperty(name).ToString()), expected.ToString());
            return 0;
        }
        Assert.That(actual.GetArrayLength(), Is.EqualTo(expected.GetArrayLength()));
        return Enumerable.Range(0, expected.GetArrayLength()).Count(i => IsShorter(expected[i], actual[i]));
    }

    private static bool IsShorter(JsonElement expected, JsonElement actual)
    {
        foreach (var name in new[] { "decision", "target", "user", "notify", "autostart", "rule", "reason", "default_target", "stage" })
            Assert.That(Text(actual, name), Is.EqualTo(Text(expected, name)), $"{name}: {actual} {expected}");
        Assert.That(actual.TryGetProperty("refused", out _), Is.EqualTo(expected.TryGetProperty("refused", out _)), expected.ToString());
        if (!expected.TryGetProperty("targets_for_ask", out var offered))
            return false;
        var targets = actual.GetProperty("targets_for_ask").EnumerateArray().Select(target => target.GetString()).ToList();
        var all = offered.EnumerateArray().Select(target => target.GetString()).ToList();
        Assert.That(targets, Is.SubsetOf(all));
        return targets.Count < all.Count;
    }

    private static string? Text(JsonElement element, string name) => element.TryGetProperty(name, out var value) ? value.ToString() : null;

    private void Write(string name, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.Join(_directory, name))!);
        File.WriteAllText(Path.Join(_directory, name), text);
    }

    private Task<int> RunAsync(Ctl ctl, string[] words) =>
        ctl.RunAsync(CancellationToken.None, [.. words, "--policy-dir", Path.Join(_directory, "run"), "--policy-dir", Path.Join(_directory, "etc"), "--system-info", Path.Join(_directory, "vms.json")]);
}
