using System.Text;

namespace Mgmt.Policy.Tests;

/// <summary>What goes wrong in qrexec when files are changed (P1 to P4), and links that lead out of the policy directories.</summary>
[TestFixture]
public sealed class PitfallTests
{
    private TemporaryDirectory _directory = null!;

    [SetUp]
    public void MakeDirectory()
    {
        _directory = new TemporaryDirectory();
        _directory.Write("etc/30-x.policy", "s * work work allow");
        _directory.Write("secret/c", "root:x:0 hidden");
    }

    [TearDown]
    public void RemoveDirectory() => _directory.Dispose();

    [TestCase("Foo.policy")]
    [TestCase("30 x.policy")]
    [TestCase("!30-x.policy")]
    public void A_change_that_adds_a_bad_name_is_refused_before_it_is_made_P1(string name)
    {
        var error = PolicySet.Load(Source.With(name, Encoding.UTF8.GetBytes("")), Confined).Errors.Single();
        Assert.That(error.ToString(), Does.StartWith(name + ":1:1: invalid file name"));
    }

    [Test]
    public void A_bad_name_can_be_removed_again_P1()
    {
        _directory.Write("etc/Foo.policy", "");
        Assert.That(Load().Set, Is.Null);
        Assert.That(PolicySet.Load(Source.With("Foo.policy", null), Confined).Errors, Is.Empty);
    }

    [TestCase(".30-x.policy")]
    [TestCase(".30-x.policy.new")]
    [TestCase("30-x.policy.new")]
    [TestCase("30-x.policy~")]
    public void A_temporary_file_left_behind_matches_nothing_P2(string name)
    {
        _directory.Write("etc/" + name, "oops");
        _directory.Write("etc/d/" + name, "oops");
        _directory.Write("etc/40-d.policy", "!include-dir d");
        Assert.That(Load().Set!.Files, Is.EqualTo(new[] { "30-x.policy", "40-d.policy" }));
    }

    [TestCase("# c\rjunk", 2)]
    [TestCase("# c\r\n# d\rjunk", 3)]
    [TestCase("# c\n\rjunk", 3)]
    public void A_change_is_checked_with_the_lines_that_are_loaded_P3(string text, int line)
    {
        var change = PolicySet.Load(Source.With("30-x.policy", Encoding.UTF8.GetBytes(text)), Confined);
        _directory.Write("etc/30-x.policy", text);
        Assert.That(change.Errors.Single(), Is.EqualTo(Load().Errors.Single()));
        Assert.That(change.Errors.Single().Line, Is.EqualTo(line));
    }

    [Test]
    public void A_rule_after_a_lone_cr_is_seen_P3()
    {
        var set = PolicySet.Load(Source.With("30-x.policy", Encoding.UTF8.GetBytes("# c\ra.B * * * allow")), Confined).Set!;
        Assert.That(set.RuleCount, Is.EqualTo(1));
    }

    [Test]
    public void Cycles_and_bad_bytes_in_a_changed_include_are_errors_with_a_line_P4()
    {
        _directory.Write("etc/30-x.policy", "!include include/c");
        _directory.Write("etc/include/c", "");
        Assert.That(PolicySet.Load(Source.With("include/c", Encoding.UTF8.GetBytes("\n!include include/c")), Confined).Errors.Single().ToString(), Does.StartWith("include/c:2:10: include/c includes itself"));
        Assert.That(PolicySet.Load(Source.With("include/c", new byte[] { (byte)'#', 0xFF }), Confined).Errors.Single().ToString(), Does.StartWith("include/c:1:2: the line is not UTF-8"));
        Assert.That(PolicySet.Load(Source.With("include/c", null), Confined).Errors.Single().Message, Is.EqualTo("not a file: include/c"));
    }

    [TestCase("!include include/link")]
    [TestCase("!include out/c")]
    [TestCase("!include-service s * include/link")]
    [TestCase("!include-dir out")]
    [TestCase("!include-dir d")]
    [TestCase("!include out/gone")]
    public void A_link_that_leads_out_is_outside(string line)
    {
        Directory.CreateDirectory(_directory["etc/include"]);
        Directory.CreateDirectory(_directory["etc/d"]);
        File.CreateSymbolicLink(_directory["etc/include/link"], _directory["secret/c"]);
        File.CreateSymbolicLink(_directory["etc/d/10-x.policy"], "../../secret/c");
        Directory.CreateSymbolicLink(_directory["etc/out"], _directory["secret"]);
        _directory.Write("etc/30-x.policy", line);
        var error = Load().Errors.Single().ToString();
        Assert.That(error, Does.StartWith("30-x.policy:1:").And.Contain("is not below a policy directory").And.Not.Contain("hidden"));
        var loose = PolicySet.Load(Source, Sets.Pure).Errors.Select(e => e.ToString()).ToList();
        Assert.That(loose, Has.All.Not.Contains("hidden"));
    }

    [Test]
    public void A_link_within_the_policy_directories_is_inside_also_when_they_are_links_themselves()
    {
        _directory.Write("etc/include/c", "s * work work allow");
        File.CreateSymbolicLink(_directory["etc/include/link"], "c");
        _directory.Write("etc/30-x.policy", "!include include/link");
        Directory.CreateSymbolicLink(_directory["alias"], _directory["etc"]);
        var source = PolicySource.FromDirectories(new PolicyDirectory(_directory["alias"]));
        Assert.That(PolicySet.Load(source, Confined).Errors, Is.Empty);
    }

    [Test]
    public void A_change_in_place_of_a_link_is_inside()
    {
        _directory.Write("etc/30-x.policy", "!include include/link");
        Directory.CreateDirectory(_directory["etc/include"]);
        File.CreateSymbolicLink(_directory["etc/include/link"], _directory["secret/c"]);
        Assert.That(PolicySet.Load(Source.With("include/link", Encoding.UTF8.GetBytes("")), Confined).Errors, Is.Empty);
    }

    [Test]
    public void The_text_behind_a_top_level_link_is_not_told_where_includes_are_confined()
    {
        File.CreateSymbolicLink(_directory["etc/20-x.policy"], _directory["secret/c"]);
        Assert.That(Load().Errors.Single().ToString(), Does.StartWith("20-x.policy:1:1:").And.Not.Contain("hidden"));
    }

    private static PolicyOptions Confined { get; } = Sets.Pure with { ConfineIncludes = true };

    private PolicySource Source => PolicySource.FromDirectories(new PolicyDirectory(_directory["etc"]));

    private PolicyLoad Load() => PolicySet.Load(Source, Confined);
}
