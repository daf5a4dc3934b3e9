using System.Text;

namespace Mgmt.Policy.Tests;

[TestFixture]
public sealed class LintTests
{
    [TestCase("s * work * deny", "s * work vault allow", "30-x.policy:2:1: this rule never matches: 30-x.policy:1 comes first")]
    [TestCase("s * @anyvm @anyvm deny", "s +a @tag:team @default deny", ":2:1: this rule never matches")]
    [TestCase("* * * * deny", "s +a @tag:team @dispvm:dvm allow", ":2:1: this rule never matches")]
    [TestCase("admin.X * work @anyvm deny", "mgmt.X * work @tag:team allow", ":2:1: this rule never matches")]
    [TestCase("s * work vault deny", "s * work uuid:%vault% allow", ":2:1: this rule never matches")]
    [TestCase("s * @type:AppVM vault deny", "s * @type:AppVM vault allow", ":2:1: this rule never matches")]
    [TestCase("s * @dispvm:dvm vault deny", "", ":1:5: this rule never matches: no caller is @dispvm:dvm")]
    [TestCase("s * wrok vault deny", "", ":1:5: there is no VM 'wrok'")]
    [TestCase("s * work uuid:x deny", "", ":1:10: there is no VM with the UUID 'x'")]
    [TestCase("s * work vault allow target=gone", "", ":1:22: there is no VM 'gone'")]
    [TestCase("s * work @dispvm:vault ask", "", ":1:10: 'vault' is no template for disposables")]
    [TestCase("s * @tag:taem vault deny", "", ":1:5: no VM has the tag 'taem'")]
    [TestCase("s * @type:AppVm vault deny", "", ":1:5: no VM can have the class 'AppVm': expected AppVM")]
    [TestCase("s * $tag:team vault deny", "", ":1:5: '$tag:team' is a VM name here: write @ for $")]
    [TestCase("mgmt.vm.Start * work vault allow target=mgmt", "", ":1:34: target=mgmt sends a management call away")]
    [TestCase("s * @anyvm vault deny", "s * work @default allow target=vault", ":2:25: target=vault leads past 30-x.policy:1")]
    [TestCase("s * @anyvm @adminvm allow", "", ":1:5: every VM may make this call to dom0")]
    [TestCase("s * * @default allow target=dom0", "", ":1:5: every VM may make this call to dom0")]
    [TestCase("s * * * allow", "", ":1:5: every VM may make this call to dom0")]
    [TestCase("mgmt.vm.Start * @anyvm @anyvm allow target=dom0", "", ":1:17: every VM may make this management call about @anyvm")]
    public void There_is_a_warning_for(string first, string second, string expected)
    {
        var warnings = Warnings(first.Replace("%vault%", TestDomains.Uuid("vault")), second.Replace("%vault%", TestDomains.Uuid("vault")));
        Assert.That(warnings, Has.Exactly(1).Contains(expected), string.Join('\n', warnings));
    }

    [TestCase("s * work @anyvm deny", "s * work dom0 allow")]
    [TestCase("s * work @anyvm deny", "s * work @type:AdminVM allow")]
    [TestCase("s * work @anyvm deny", "s * work @tag:host allow")]
    [TestCase("s +a work vault deny", "s * work vault allow")]
    [TestCase("s * @tag:team vault deny", "s * work vault allow")]
    [TestCase("s * work @dispvm deny", "s * work @dispvm:dvm allow")]
    [TestCase("s * work @default allow target=vault", "s * @anyvm @anyvm deny")]
    [TestCase("mgmt.vm.Start * @anyvm dom0 deny", "mgmt.vm.Start * work @tag:secret allow target=dom0")]
    public void There_is_no_warning_for(string first, string second) => Assert.That(Warnings(first, second), Is.Empty);

    [Test]
    public void A_line_for_many_services_is_dead_only_when_it_is_for_all_of_them()
    {
        var one = Sets.Load(Sets.Pure, ("30-x.policy", "s * work vault deny\n!include-service s * r\n!include-service t * r"), ("r", "work vault allow"));
        Assert.That(PolicyLint.Warnings(one, TestDomains.Office()), Is.Empty);
        var both = Sets.Load(Sets.Pure, ("30-x.policy", "s * work vault deny\nt * work * deny\n!include-service s * r\n!include-service t * r"), ("r", "work vault allow"));
        Assert.That(PolicyLint.Warnings(both, TestDomains.Office()).Single().ToString(), Does.StartWith("r:1:1: this rule never matches"));
    }

    [Test]
    public void Without_the_vms_names_are_not_checked_and_the_rest_is()
    {
        var load = Sets.Load(Sets.Daemon, ("30-x.policy", "s * nobody gone deny\ns * nobody gone allow\ns * $anyvm x deny"));
        Assert.That(PolicyLint.Warnings(load, null).Select(warning => (warning.Line, warning.Column)), Is.EqualTo(new[] { (2, 1), (3, 5) }));
    }

    [Test]
    public void A_set_with_errors_is_warned_about_as_far_as_it_can_be_read()
    {
        var load = Sets.Load(Sets.Daemon, ("30-x.policy", "oops\ns * $anyvm x deny"));
        Assert.That((load.Errors.Count, PolicyLint.Warnings(load, null).Count), Is.EqualTo((1, 1)));
    }

    [Test]
    public void A_file_is_checked_in_its_place_and_others_are_not_told_about()
    {
        var source = Source(("10-a.policy", "s * work vault deny\noops"), ("20-b.policy", ""));
        var report = PolicyLint.CheckFile(source, Sets.Daemon, "20-b.policy", Bytes("s * work vault allow\n!include gone"), TestDomains.Office());
        Assert.That(report.Errors.Concat(report.Warnings).Select(found => (found.File, found.Line)), Is.EqualTo(new[] { ("20-b.policy", 2), ("20-b.policy", 1) }));
    }

    [TestCase("work vault allow", 0)]
    [TestCase("s * work vault allow", 0)]
    [TestCase("work vault allow\nwork vault maybe", 1)]
    [TestCase("s * work vault allow\ns * work vault maybe\ns * vault work deny", 1)]
    public void A_file_that_nothing_includes_is_checked_in_the_format_it_fits_P4(string text, int errors)
    {
        var report = PolicyLint.CheckFile(Source(("10-a.policy", "")), Sets.Daemon, "include/unused", Bytes(text), TestDomains.Office());
        Assert.That(report.Errors.Select(error => error.File), Is.EqualTo(Enumerable.Repeat("include/unused", errors)));
    }

    [Test]
    public void A_file_with_a_name_that_would_not_load_is_an_error() =>
        Assert.That(PolicyLint.CheckFile(Source(), Sets.Daemon, "Foo.policy", Bytes(""), null).Errors.Single().Message, Does.Contain("invalid file name"));

    private static List<string> Warnings(params string[] lines) =>
        [.. PolicyLint.Warnings(Sets.Load(Sets.Daemon, ("30-x.policy", string.Join('\n', lines))), TestDomains.Office()).Select(warning => warning.ToString())];

    private static ReadOnlyMemory<byte> Bytes(string text) => Encoding.UTF8.GetBytes(text);

    private static PolicySource Source(params (string Name, string Text)[] files) => PolicySource.FromFiles(files.ToDictionary(file => file.Name, file => Bytes(file.Text)));
}
