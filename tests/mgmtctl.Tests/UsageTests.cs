using System.CommandLine;
using Mgmt.Wire.Tests;

namespace Mgmt.Cli.Tests;

[CancelAfter(20_000)]
public sealed class UsageTests
{
    [TestCase("")]
    [TestCase("nosuch")]
    [TestCase("start")]
    [TestCase("ls a b")]
    [TestCase("ls --nosuch")]
    [TestCase("rm work --forse")]
    [TestCase("rm -f work")]
    [TestCase("prefs work kernelopts -5")]
    [TestCase("wait work --state Asleep")]
    [TestCase("wait work --timeout soon")]
    [TestCase("wait work --timeout -1")]
    [TestCase("call a.B --payload x --payload-file y")]
    [TestCase("create x --root-image /etc/hostname --template debian")]
    [TestCase("create x --root-image /etc/hostname --class AppVM")]
    [TestCase("create x --pool a --pool b")]
    [TestCase("prefs")]
    [TestCase("prefs work --reset")]
    [TestCase("prefs work memory 5 --default")]
    [TestCase("prefs --global a b c")]
    [TestCase("features work --unset")]
    [TestCase("tags work add")]
    [TestCase("tags work set x")]
    [TestCase("label")]
    [TestCase("volume info work")]
    [TestCase("volume info work:")]
    [TestCase("events --since yesterday")]
    [TestCase("events --event two words")]
    [TestCase("agent work uptime")]
    [TestCase("completion fish")]
    [TestCase("ls --socket /a --connect qemu:///system")]
    [TestCase("ls --connect http://x")]
    [TestCase("ls --connect qemu:///session")]
    public async Task Wrong_usage_is_2_with_one_line_and_no_call(string args, CancellationToken token)
    {
        await using var daemon = ScriptedDaemon.Answering(ScriptedDaemon.NewPath(), "0\0");
        var ctl = new Ctl(daemon.Path);
        var code = await ctl.RunAsync(token, args.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Multiple(() =>
        {
            Assert.That((code, ctl.Out, daemon.Requests.Count), Is.EqualTo((2, "", 0)));
            Assert.That(ctl.Error, Does.Match("^mgmtctl: [^\n]+ --help'\\)\n$").Or.Match("^mgmtctl: [^\n]+ \\(see 'mgmtctl --help'\\)\n$"));
        });
    }

    [Test]
    public async Task Every_verb_has_help_with_examples(CancellationToken token)
    {
        var paths = Paths(BuildRoot(), []).ToList();
        Assert.That(paths, Has.Count.GreaterThan(25));
        foreach (var path in paths)
        {
            var ctl = new Ctl("/none");
            var code = await ctl.RunAsync(token, [.. path, "--help"]);
            var name = string.Join(' ', path);
            Assert.That((code, ctl.Error), Is.EqualTo((0, "")), name);
            Assert.That(ctl.Out, Does.Contain("Usage:").And.Contain("Examples:\n  ").And.Contain(name), name);
        }
    }

    [Test]
    public async Task After_two_dashes_a_word_may_begin_with_a_dash(CancellationToken token)
    {
        var (code, _, requests) = await Ctl.AgainstAsync("0\0", token, "prefs", "work", "kernelopts", "--", "-5");
        Assert.That((code, requests.Single()), Is.EqualTo((0, "mgmt.vm.property.Set+kernelopts dom0 name work\0-5")));
    }

    [Test]
    public async Task The_version_is_told(CancellationToken token)
    {
        var ctl = new Ctl("/none");
        Assert.That((await ctl.RunAsync(token, "--version"), ctl.Out), Is.EqualTo((0, "0.1.0" + "\n")));
    }

    [Test]
    public async Task The_socket_is_found_in_the_order_that_the_help_tells(CancellationToken token)
    {
        await using var asked = ScriptedDaemon.Answering(ScriptedDaemon.NewPath(), "0\0");
        var elsewhere = new Ctl("/none");
        Assert.That(await elsewhere.RunAsync(token, "--socket", asked.Path, "ls"), Is.Zero);
        Assert.That(await elsewhere.RunAsync(token, "ls", "--connect", "unix://" + asked.Path), Is.Zero);
        Assert.That(await new Ctl(asked.Path).RunAsync(token, "ls"), Is.Zero);
        Assert.Multiple(() =>
        {
            Assert.That(asked.Requests, Has.Count.EqualTo(3));
            Assert.That(PathOf(Endpoint.Resolve(null, null, _ => null)), Is.EqualTo("/run/mgmtd/mgmtd.sock"));
            Assert.That(PathOf(Endpoint.Resolve(null, "qemu:///system", _ => "/x")), Is.EqualTo("/run/mgmtd/mgmtd.sock"));
            Assert.That(PathOf(Endpoint.Resolve(null, "qemu:///session", _ => "/run/user/7")), Is.EqualTo("/run/user/7/mgmtd/mgmtd.sock"));
        });
    }

    private static string PathOf(Wire.ICallTransport way) => ((Wire.SocketTransport)way).Path;

    private static RootCommand BuildRoot() => Program.Build(new Terminal { Out = Stream.Null, Error = TextWriter.Null, OpenInput = () => Stream.Null }, TimeProvider.System).Root;

    private static IEnumerable<string[]> Paths(Command command, string[] path)
    {
        yield return path;
        foreach (var below in command.Subcommands.Where(child => !child.Hidden).SelectMany(child => Paths(child, [.. path, child.Name])))
        {
            yield return below;
        }
    }
}
