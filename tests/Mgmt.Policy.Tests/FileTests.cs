using System.Text;

namespace Mgmt.Policy.Tests;

[TestFixture]
public sealed class FileTests
{
    [Test]
    public void Files_are_read_in_the_order_of_their_names()
    {
        var load = Sets.Load(Sets.Pure, ("30-x.policy", ""), ("30-x-y.policy", ""), ("100-a.policy", ""), ("20-a.policy", ""), ("30-x_y.policy", ""), ("30-xy.policy", ""));
        Assert.That(load.Set!.Files, Is.EqualTo(new[] { "100-a.policy", "20-a.policy", "30-x-y.policy", "30-x.policy", "30-x_y.policy", "30-xy.policy" }));
    }

    [Test]
    public void Other_files_are_ignored() =>
        Assert.That(Sets.Load(Sets.Pure, ("README", "x"), ("x.policy.rpmnew", "x"), ("x.Policy", "x"), (".policy", "x"), (".x.policy", "x"), ("include/x.policy", "x")).Set!.Files, Is.Empty);

    [Test]
    public void The_runtime_directory_hides_the_same_name()
    {
        using var directory = new TemporaryDirectory();
        directory.Write("etc/30-x.policy", "s * * * deny\ns * * * deny");
        directory.Write("etc/20-y.policy", "t * * * deny");
        directory.Write("run/30-x.policy", "!include include/a");
        directory.Write("run/include/a", "u * * * deny");
        directory.Write("etc/include/a", "wrong");
        var set = Load(directory).Set!;
        Assert.That(set.Files, Is.EqualTo(new[] { "20-y.policy", "30-x.policy", "include/a" }));
        Assert.That((set.RuleCount, Sets.Ask(set, "work", "vault", "u").Rule), Is.EqualTo((2, "include/a:1")));
    }

    [Test]
    public void A_missing_directory_is_empty_only_where_it_may_be_missing()
    {
        using var directory = new TemporaryDirectory();
        Assert.That(Load(directory).Errors.Single().File, Is.EqualTo(directory["etc"]));
        Directory.CreateDirectory(directory["etc"]);
        Assert.That(Load(directory).Set!.RuleCount, Is.Zero);
    }

    [Test]
    public void Links_are_followed_and_what_is_no_file_is_ignored()
    {
        using var directory = new TemporaryDirectory();
        directory.Write("elsewhere", "s * * * deny");
        Directory.CreateDirectory(directory["etc/d.policy"]);
        File.CreateSymbolicLink(directory["etc/10-link.policy"], directory["elsewhere"]);
        File.CreateSymbolicLink(directory["etc/20-dangling.policy"], directory["gone"]);
        Assert.That(Load(directory).Set!.Files, Is.EqualTo(new[] { "10-link.policy" }));
    }

    [TestCase("include/c", "include/c")]
    [TestCase("./include/../include/c", "include/c")]
    [TestCase("/etc/mgmt/policy.d/include/c", "include/c")]
    [TestCase("/etc/other/d", "/etc/other/d")]
    [TestCase("../../other/d", "/etc/other/d")]
    public void An_include_takes_the_place_of_its_line(string path, string display)
    {
        var load = Sets.Load(Sets.Pure, ("30-x.policy", $"a * * * deny\n!include {path}\nb * * * deny"), ("include/c", "\nb * * * allow"), ("/etc/other/d", "\nb * * * allow"));
        Assert.That(Sets.Ask(load.Set!, "work", "vault", "b").Rule, Is.EqualTo(display + ":2"));
    }

    [Test]
    public void Includes_can_be_kept_below_the_policy_directories()
    {
        var load = Sets.Load(new PolicyOptions { ConfineIncludes = true }, ("30-x.policy", "!include ../secret"), ("../secret", "root:x:0"));
        Assert.That(load.Errors.Single().Message, Does.Contain("not below a policy directory"));
    }

    [Test]
    public void The_text_of_a_file_outside_is_not_told() =>
        Assert.That(Sets.Load(Sets.Pure, ("30-x.policy", "!include /etc/shadow"), ("/etc/shadow", "root:secret:0 a b c d")).Errors.Single().ToString(), Does.StartWith("/etc/shadow:1:1:").And.Not.Contain("secret"));

    [Test]
    public void A_service_include_reads_the_old_format()
    {
        var load = Sets.Load(Sets.Pure, ("30-x.policy", "!include-service s +a include/c\n!include-service t * include/c"), ("include/c", "# x\n$tag:team $anyvm deny,notify=no\n$include:include/d"), ("include/d", "vault work allow user=u"));
        Assert.That(load.Errors, Is.Empty);
        Assert.That(Sets.Ask(load.Set!, "work", "vault", "s", "+a"), Is.EqualTo(new PolicyDecision.Deny(DenyReason.Rule, "denied by policy include/c:2") { Rule = "include/c:2" }));
        Assert.That(Sets.Ask(load.Set!, "vault", "work", "t"), Is.EqualTo(new PolicyDecision.Allow("work", "u", true) { Rule = "include/d:1" }));
        Assert.That(Sets.Ask(load.Set!, "work", "vault", "s", "+b").Rule, Is.Null);
    }

    [Test]
    public void In_the_old_format_only_include_is_a_directive() =>
        Assert.That(Sets.Load(Sets.Pure, ("30-x.policy", "!include-service s * c"), ("c", "!include-service s * d")).Errors.Single().Message, Does.Contain("expected only !include"));

    [TestCase("!include 30-x.policy")]
    [TestCase("!include include/a")]
    [TestCase("!include include/../include/a")]
    [TestCase("!include-service s * include/b")]
    public void A_cycle_of_includes_is_an_error(string line)
    {
        var load = Sets.Load(Sets.Pure, ("30-x.policy", "\n" + line), ("include/a", "!include 30-x.policy"), ("include/b", "$include:include/b"));
        var error = load.Errors.Single();
        Assert.That(error.Message, Does.Contain("includes itself"));
        Assert.That((error.File, error.Line), Is.EqualTo(line.EndsWith("x.policy") ? ("30-x.policy", 2) : line.EndsWith('a') ? ("include/a", 1) : ("include/b", 1)));
    }

    [Test]
    public void Includes_that_multiply_are_an_error()
    {
        var files = Enumerable.Range(0, 40).Select(i => ($"f{i}", $"!include f{i + 1}\n!include f{i + 1}")).Append(("f40", "")).Append(("30-x.policy", "!include f0"));
        Assert.That(Sets.Load(Sets.Pure, [.. files]).Errors, Has.Some.Matches<PolicyDiagnostic>(error => error!.Message.Contains("more than 10000 includes")));
    }

    [Test]
    public void Deep_includes_are_an_error()
    {
        var files = Enumerable.Range(0, 100).Select(i => ($"f{i}", $"!include f{i + 1}")).Append(("30-x.policy", "!include f0"));
        Assert.That(Sets.Load(Sets.Pure, [.. files]).Errors.Single().Message, Does.Contain("nested deeper than 64"));
    }

    [TestCase(new byte[] { (byte)'#', (byte)'\n', (byte)'#', 0xFF }, 2, "not UTF-8")]
    [TestCase(new byte[] { (byte)'#', 0 }, 1, "NUL")]
    [TestCase(new byte[] { 0xEF, 0xBB, 0xBF, (byte)'#' }, 1, "byte order mark")]
    public void Bytes_that_are_no_text_are_errors(byte[] bytes, int line, string says)
    {
        var error = Load(bytes).Errors.Single();
        Assert.That(error.Line, Is.EqualTo(line));
        Assert.That(error.Message, Does.Contain(says));
    }

    [Test]
    public void A_huge_line_and_a_huge_file_are_errors()
    {
        Assert.That(Load(Encoding.UTF8.GetBytes("\n#" + new string('x', 1_000_000))).Errors.Single(), Is.EqualTo(new PolicyDiagnostic("30-x.policy", 2, 1, "the line is longer than 1000000 bytes")));
        Assert.That(Load(new byte[16 * 1024 * 1024 + 1]).Errors.Single().Message, Does.Contain("larger than 16777216 bytes"));
    }

    [Test]
    public void The_digest_follows_names_and_bytes()
    {
        string Digest(string name, string text) => Sets.Load(Sets.Pure, (name, text)).Set!.Digest;
        var digest = Digest("a.policy", "#x");
        Assert.That(digest, Does.Match("^[0-9a-f]{64}$").And.EqualTo(Digest("a.policy", "#x")));
        Assert.That(digest, Is.Not.EqualTo(Digest("a.policy", "#y")).And.Not.EqualTo(Digest("b.policy", "#x")));
    }

    [Test]
    public void A_change_can_be_checked_before_it_is_made()
    {
        var source = PolicySource.FromFiles(new Dictionary<string, ReadOnlyMemory<byte>> { ["30-x.policy"] = "!include c"u8.ToArray(), ["c"] = "#"u8.ToArray() });
        Assert.That(PolicySet.Load(source.With("c", null), Sets.Pure).Errors.Single().ToString(), Is.EqualTo("30-x.policy:1:10: not a file: c"));
        Assert.That(PolicySet.Load(source.With("40-y.policy", "s * * * deny"u8.ToArray()), Sets.Pure).Set!.RuleCount, Is.EqualTo(1));
        Assert.That(PolicySet.Load(source.With("30-x.policy", null), Sets.Pure).Set!.Files, Is.Empty);
    }

    private static PolicyLoad Load(byte[] bytes) =>
        PolicySet.Load(PolicySource.FromFiles(new Dictionary<string, ReadOnlyMemory<byte>> { ["30-x.policy"] = bytes }), Sets.Pure);

    private static PolicyLoad Load(TemporaryDirectory directory) =>
        PolicySet.Load(PolicySource.FromDirectories(new PolicyDirectory(directory["run"], MayBeMissing: true), new PolicyDirectory(directory["etc"])), Sets.Pure);
}
