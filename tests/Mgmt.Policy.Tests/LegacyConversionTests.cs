using System.Text;

namespace Mgmt.Policy.Tests;

[TestFixture]
public sealed class LegacyConversionTests
{
    private TemporaryDirectory _directory = null!;

    [SetUp]
    public void MakeDirectory()
    {
        _directory = new TemporaryDirectory();
        _directory.Write("etc/30-x.policy", "");
        Directory.CreateDirectory(_directory["legacy"]);
    }

    [TearDown]
    public void RemoveDirectory() => _directory.Dispose();

    [Test]
    public void Every_parameter_and_word_comes_along()
    {
        string[] lines =
        [
            "work vault allow target=mgmt user=u autostart=no notify=yes",
            "work @default ask target=vault default_target=vault user=",
            "@tag:team @dispvm:@tag:d ask notify=yes",
            "@type:AppVM uuid:1 deny notify=no",
            "@anyvm @adminvm deny",
            "* @dispvm ask default_target=@dispvm",
        ];
        _directory.Write("legacy/s", string.Join('\n', lines));
        Assert.That(Rules(Convert()), Is.EqualTo(lines.Select(line => "s * " + line)));
    }

    [Test]
    public void A_rule_that_never_matches_is_left_out_whatever_tags_vms_will_have()
    {
        _directory.Write("etc/30-x.policy", "s * work @anyvm deny\ns +a * * deny");
        _directory.Write("legacy/s", "work vault allow\nwork @tag:secret allow\nmgmt vault allow\n");
        _directory.Write("legacy/s+a", "work vault allow\n");
        var conversion = Convert();
        Assert.That(Rules(conversion), Is.EqualTo(new[] { "s * work @tag:secret allow", "s * mgmt vault allow" }), "dom0 may get the tag, and @anyvm is never dom0");
        Assert.That((conversion.RuleCount, conversion.LeftOut), Is.EqualTo((2, 4)));
    }

    [Test]
    public void A_rule_that_never_matches_and_yet_adds_to_what_is_offered_stays()
    {
        _directory.Write("etc/30-x.policy", "s * work @default ask\ns * work vault allow target=mgmt\n");
        _directory.Write("legacy/s", "work vault allow\n");
        var conversion = Convert();
        Assert.That(Rules(conversion), Is.EqualTo(new[] { "s * work vault allow" }));
        Assert.That(PolicyDiff.Between(conversion.Intended, conversion.After, TestDomains.Office()), Is.Empty);
    }

    [Test]
    public void The_order_of_files_is_kept()
    {
        _directory.Write("etc/20-a.policy", "s * work vault deny");
        _directory.Write("etc/35-compat.policy", "# own\r\n\r\n");
        _directory.Write("etc/90-z.policy", "s * * * deny");
        _directory.Write("legacy/s", "* * allow");
        var conversion = Convert();
        Assert.That(Encoding.UTF8.GetString(conversion.Text.Span), Does.StartWith("# own\n# Converted from"));
        Assert.That((Sets.Ask(conversion.After, "work", "vault").Rule, Sets.Ask(conversion.After, "vault", "work").Rule), Is.EqualTo(("20-a.policy:1", "35-compat.policy:4")));
    }

    [Test]
    public void Line_ends_that_are_none_in_rule_files_stay()
    {
        _directory.Write("etc/35-compat.policy", "# a\u2028b\n!compat-4.0\n");
        _directory.Write("legacy/s", "* * allow");
        Assert.That(Encoding.UTF8.GetString(Convert().Text.Span), Does.StartWith("# a\u2028b\n# Converted"));
    }

    [Test]
    public void Rules_that_would_have_no_effect_are_refused()
    {
        _directory.Write("run/35-compat.policy", "# hides");
        _directory.Write("legacy/s", "* * allow");
        var source = PolicySource.FromDirectories(new PolicyDirectory(_directory["run"]), new PolicyDirectory(_directory["etc"]));
        Assert.That(() => LegacyConversion.Of(source, Sets.Daemon, _directory["legacy"], TestDomains.Office()), Throws.Exception.Message.Contains("is hidden by"));
    }

    [Test]
    public void An_empty_directory_leaves_nothing_to_convert_and_takes_the_line_away()
    {
        Assert.That(Convert().FilePath, Is.Empty);
        _directory.Write("etc/40-y.policy", "!compat-4.0");
        Assert.That((Convert().FileName, Rules(Convert())), Is.EqualTo(("40-y.policy", Array.Empty<string>())));
    }

    private LegacyConversion Convert() => LegacyConversion.Of(PolicySource.FromDirectories(new PolicyDirectory(_directory["etc"])), Sets.Daemon, _directory["legacy"], TestDomains.Office());

    private static string[] Rules(LegacyConversion conversion) =>
        [.. Encoding.UTF8.GetString(conversion.Text.Span).Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(line => !line.StartsWith('#'))];
}
