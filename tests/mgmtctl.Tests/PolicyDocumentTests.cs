using System.Text.RegularExpressions;
using Mgmt.Testing;

namespace Mgmt.Cli.Tests;

/// <summary>The examples of docs/policy.md, added to the policy as it is shipped.</summary>
public sealed partial class PolicyDocumentTests
{
    public static IEnumerable<TestCaseData> Examples() => Text.Split("\n### ")[1..]
        .Select(section => section.Split("\n## ")[0])
        .Select(section => new TestCaseData(section).SetArgDisplayNames(section.Split('\n')[0]));

    [TestCaseSource(nameof(Examples))]
    public async Task An_example_decides_as_it_says_and_lint_finds_nothing(string section)
    {
        var directory = Directory.CreateTempSubdirectory("mgmtctl-policy-doc-").FullName;
        try
        {
            Write(directory, section);
            var blocks = Blocks(section).Where(block => block.Info == "decisions").ToList();
            Assert.That(blocks, Has.Count.EqualTo(1));
            foreach (var line in blocks[0].Text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
                await CheckAsync(directory, line);
            var lint = new Ctl("/nonexistent");
            Assert.That((await RunAsync(lint, directory, "lint", "--strict"), lint.Out), Is.EqualTo((0, "")));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Test]
    public void There_are_four_examples() => Assert.That(Examples().Count(), Is.EqualTo(4));

    private static string Text { get; } = File.ReadAllText(Path.Join(Repository.Root, "docs", "policy.md"));

    private static void Write(string directory, string section)
    {
        var shipped = Path.Join(Repository.Root, "policy");
        var files = Directory.EnumerateFiles(shipped, "*", SearchOption.AllDirectories).ToDictionary(file => Path.GetRelativePath(shipped, file), File.ReadAllText);
        foreach (var block in Blocks(section).Where(block => block.Info.StartsWith("policy ", StringComparison.Ordinal)))
            files[block.Info["policy ".Length..]] = block.Text;
        foreach (var (name, text) in files)
        {
            var path = Path.Join(directory, "policy.d", name);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllText(path, text);
        }
        File.WriteAllText(Path.Join(directory, "vms.json"), Blocks(Text).Single(block => block.Info == "json").Text);
    }

    private static async Task CheckAsync(string directory, string line)
    {
        var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(words, Has.Length.EqualTo(5), line);
        var ctl = new Ctl("/nonexistent");
        var code = await RunAsync(ctl, directory, "eval", words[1], words[2], words[3]);
        Assert.That((code, ctl.Error), Is.EqualTo((words[0] == "allow" ? 0 : 126, "")), line);
        Assert.That(ctl.Out, Does.StartWith($"decision\t{words[0]}\nrule\t{words[4]}\n"), line);
    }

    private static Task<int> RunAsync(Ctl ctl, string directory, params string[] words) => ctl.RunAsync(
        CancellationToken.None,
        ["policy", .. words, "--policy-dir", Path.Join(directory, "policy.d"), "--system-info", Path.Join(directory, "vms.json")]);

    private static IEnumerable<(string Info, string Text)> Blocks(string text) =>
        Fence().Matches(text).Select(match => (match.Groups["info"].Value, match.Groups["text"].Value));

    [GeneratedRegex("^```(?<info>[^\n]+)\n(?<text>.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Fence();
}
