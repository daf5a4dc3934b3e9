using System.Text.Json;
using Mgmt.Testing;

namespace Mgmt.Cli.Tests;

/// <summary>The policy tools against a real daemon: they take its rules, and say the same as with its directory.</summary>
[CancelAfter(60_000)]
public sealed class PolicyDaemonTests
{
    private const string Rules = """
        !include-service mgmt.vm.Kill * include/killers
        mgmt.vm.Start * work @tag:power deny
        mgmt.vm.Start * work vault allow
        s * work vault ask
        s * vault @default allow target=dom0
        s * $nobody vault deny

        """;

    private DaemonProcess _daemon = null!;
    private string _directory = null!;

    [OneTimeSetUp]
    public async Task StartDaemon()
    {
        _daemon = await DaemonProcess.StartAsync();
        await ReplaceAsync("killers", "new", "work vault allow\n", "--include");
        await ReplaceAsync("30-user", "new", Rules);
        _directory = Directory.CreateTempSubdirectory("mgmtctl-daemon-").FullName;
    }

    [OneTimeTearDown]
    public async Task StopDaemon()
    {
        await _daemon.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    [TestCase("policy lint", 0)]
    [TestCase("policy lint --json", 0)]
    [TestCase("policy lint --strict", 1)]
    [TestCase("policy eval mgmt.vm.Start work vault", 0)]
    [TestCase("policy eval admin.vm.Kill work vault", 0)]
    [TestCase("policy eval mgmt.vm.property.Set+netvm+sys-net work vault --json", 126)]
    [TestCase("policy eval s work vault", 126)]
    [TestCase("policy eval s vault @default", 0)]
    [TestCase("policy explain mgmt.vm.Start work vault", 0)]
    [TestCase("policy explain mgmt.vm.Start work vault --json", 0)]
    [TestCase("policy explain mgmt.vm.Kill vault work", 0)]
    [TestCase("policy explain s work vault", 0)]
    [TestCase("policy graph --service mgmt.vm.Start --service s --include-ask", 0)]
    public async Task A_tool_says_the_same_of_the_daemon_and_of_its_directory(string args, int exitCode)
    {
        var (there, here) = (Ctl(), Ctl());
        var codes = (await there.RunAsync(default, args.Split(' ')), await here.RunAsync(default, [.. args.Split(' '), "--policy-dir", _daemon.PolicyDirectory]));
        Assert.That(codes, Is.EqualTo((exitCode, exitCode)), there.Error + here.Error);
        Assert.That((there.Out, there.Error), Is.EqualTo((here.Out, "")));
        Assert.That(there.Out, Is.Not.Empty);
    }

    [TestCase("policy explain mgmt.vm.Start work vault", "allow: allowed by 30-user.policy:3\n30-user.policy:3: mgmt.vm.Start * work vault allow\n"
        + "not 30-user.policy:2: mgmt.vm.Start * work @tag:power deny (target: vault is not @tag:power)\nwith the tag power on vault: deny, denied by policy 30-user.policy:2\n")]
    [TestCase("policy eval s vault @default", "decision\tallow\nrule\t30-user.policy:5\nmessage\tallowed by 30-user.policy:5, goes to dom0\n")]
    [TestCase("policy graph --service s --include-ask --source work", "digraph policy {\n  \"work\" -> \"vault\" [color=orange, label=\"s\"];\n}\n")]
    public async Task The_answer_is(string args, string text)
    {
        var ctl = Ctl();
        await ctl.RunAsync(default, args.Split(' '));
        Assert.That(ctl.Out, Is.EqualTo(text), ctl.Error);
    }

    [TestCase(false)]
    [TestCase(true)]
    public async Task Cases_without_rules_are_asked_of_the_ones_that_are_meant(bool directory)
    {
        const string Case = """{"requests": [{"service": "s", "arg": "", "source": "work", "target": "vault"}, {"service": "s", "arg": "", "source": "vault", "target": ""}]}""";
        var ctl = new Ctl(_daemon.SocketPath) { Input = Case + "\n" };
        Assert.That(await ctl.RunAsync(default, ["policy", "eval", "--jsonl", .. directory ? new[] { "--policy-dir", _daemon.PolicyDirectory } : []]), Is.Zero, ctl.Error);
        Assert.That(ctl.Out, Is.EqualTo(
            """[{"decision":"ask","rule":"30-user.policy:4","notify":false,"targets_for_ask":["vault"],"default_target":null,"user":null,"autostart":true},"""
            + """{"decision":"allow","rule":"30-user.policy:5","notify":false,"target":"dom0","user":null,"autostart":true}]""" + "\n"));
    }

    [Test]
    public async Task Diff_compares_the_rules_in_force_with_a_directory()
    {
        var changed = Copy("changed");
        File.AppendAllText(Path.Join(changed, "30-user.policy"), "mgmt.vm.Pause * work vault allow\n");
        var ctl = Ctl();
        Assert.That(await ctl.RunAsync(default, "policy", "diff", changed), Is.Zero, ctl.Error);
        Assert.That(ctl.Out, Is.EqualTo("mgmt.vm.Pause\t+\twork\tvault\tdeny\tallow\t-\t30-user.policy:7\n"));
    }

    [Test]
    public async Task Lint_checks_a_file_as_part_of_the_daemons_rules()
    {
        var file = Path.Join(_directory, "40-new.policy");
        await File.WriteAllTextAsync(file, "mgmt.vm.Start * work vault deny\ns * work gone allow\noops\n");
        var ctl = Ctl();
        Assert.That(await ctl.RunAsync(default, "policy", "lint", file), Is.EqualTo(1));
        Assert.That(ctl.Out, Is.EqualTo($"""
            {file}:3:1: error: too few words: expected SERVICE ARG SOURCE TARGET ACTION and parameters
            {file}:1:1: warning: this rule never matches: 30-user.policy:3 comes first and takes everything it could
            {file}:2:10: warning: there is no VM 'gone'

            """));
    }

    [Test]
    public async Task Lint_of_a_daemon_with_broken_files_tells_what_the_daemon_found()
    {
        await using var broken = await DaemonProcess.StartAsync();
        await broken.WritePolicyAsync("32-hand.policy", "# x\njunk\n");
        var lint = new Ctl(broken.SocketPath);
        Assert.That(await lint.RunAsync(default, "policy", "lint"), Is.EqualTo(1));
        Assert.That(lint.Out, Does.StartWith("32-hand.policy:2:1: error: too few words"));
        var graph = new Ctl(broken.SocketPath);
        Assert.That(await graph.RunAsync(default, "policy", "graph", "--service", "s"), Is.Zero, "the rules in force are drawn");
        Assert.That(graph.Error, Does.StartWith("mgmtctl: not in force, older rules are: 32-hand.policy:2:1:"));
    }

    [TestCase("policy lint", 1, "10-x.policy:1:1: error: too few words: expected SERVICE ARG SOURCE TARGET ACTION and parameters\n")]
    [TestCase("policy lint FILE", 0, "")]
    [TestCase("policy graph", 0, "digraph policy {\n}\n")]
    [TestCase("policy eval mgmt.vm.Start dom0 work", 0, "decision\tallow\nrule\tbuiltin:1\nmessage\tallowed by builtin:1\n")]
    public async Task A_daemon_that_never_had_a_whole_policy_is_asked_all_the_same(string args, int exitCode, string text)
    {
        await using var broken = await DaemonProcess.StartAsync(new DaemonOptions { WithDefaultPolicy = false, Policy = new Dictionary<string, string> { ["10-x.policy"] = "oops\n" } });
        var file = Path.Join(_directory, "50-fine.policy");
        await File.WriteAllTextAsync(file, "s * work vault deny\n");
        var ctl = new Ctl(broken.SocketPath);
        Assert.That((await ctl.RunAsync(default, args.Replace("FILE", file, StringComparison.Ordinal).Split(' ')), ctl.Out), Is.EqualTo((exitCode, text)), ctl.Error);
    }

    [TestCase("policy eval mgmt.vm.Start work vault --system-info vms.json", "decision\tdeny\nrule\t30-user.policy:2\n")]
    [TestCase("policy explain mgmt.vm.Start work vault --system-info vms.json", "deny: denied by policy 30-user.policy:2\n")]
    public async Task The_daemons_rules_are_asked_about_other_vms(string args, string text)
    {
        var vms = Path.Join(_directory, "vms.json");
        await File.WriteAllTextAsync(vms, """{"domains": {"work": {"type": "AppVM"}, "vault": {"type": "AppVM", "tags": ["power"]}}}""");
        var ctl = Ctl();
        await ctl.RunAsync(default, args.Replace("vms.json", vms, StringComparison.Ordinal).Split(' '));
        Assert.That(ctl.Out, Does.StartWith(text), ctl.Error);
    }

    [Test]
    public async Task Convert_writes_by_the_daemons_calls_and_finds_nothing_the_second_time()
    {
        await using var daemon = await DaemonProcess.StartAsync();
        var legacy = Directory.CreateDirectory(Path.Join(_directory, "legacy")).FullName;
        await File.WriteAllTextAsync(Path.Join(legacy, "s"), "work vault allow\n$anyvm $anyvm deny\n");
        var first = new Ctl(daemon.SocketPath);
        Assert.That(await first.RunAsync(default, "policy", "convert", "--legacy-dir", legacy, "--write"), Is.Zero, first.Error);
        Assert.That(first.Out, Is.EqualTo("s\t+\twork\tvault\tdeny\tallow vault\t-\t35-compat.policy:3\n"));
        var eval = new Ctl(daemon.SocketPath);
        Assert.That(await eval.RunAsync(default, "policy", "eval", "s", "work", "vault"), Is.Zero);
        var second = new Ctl(daemon.SocketPath);
        Assert.That((await second.RunAsync(default, "policy", "convert", "--legacy-dir", legacy, "--write"), second.Out), Is.EqualTo((0, "")));
        Assert.That(second.Error, Does.Contain("nothing to convert"));
    }

    [TestCase("policy eval s work vault")]
    [TestCase("policy explain s work vault")]
    [TestCase("policy graph")]
    [TestCase("policy lint")]
    public async Task A_denied_call_is_exit_status_126_and_said(string args, CancellationToken token)
    {
        var (code, ctl, _) = await Cli.Tests.Ctl.AgainstAsync("2\0PermissionDenied\0\0Denied by policy: %s\0mgmt.policy.X\0", token, args.Split(' '));
        Assert.That((code, ctl.Out, ctl.Error), Is.EqualTo((126, "", "mgmtctl: Denied by policy: mgmt.policy.X\n")));
    }

    [Test]
    public async Task What_the_daemon_does_not_give_is_told(CancellationToken token)
    {
        var (code, ctl, _) = await Cli.Tests.Ctl.AgainstAsync("0\0{\"directories\":[\"/etc/mgmt/policy.d\"],\"listed\":[],\"files\":[{\"path\":\"/root/rules\",\"outside\":true}],\"mistakes\":[]}", token, "policy", "graph");
        Assert.That((code, ctl.Out), Is.EqualTo((1, "")));
        Assert.That(ctl.Error, Does.Contain("/root/rules").And.Contain("--policy-dir"));
    }

    [Test]
    public async Task What_is_no_document_is_told(CancellationToken token)
    {
        foreach (var answer in new[] { "{}", "[]", "{\"directories\": [], \"files\": [], \"listed\": [], \"mistakes\": []}", "junk", "{\"directories\": [1]}", "{\"directories\": [null], \"files\": [], \"listed\": [], \"mistakes\": []}" })
        {
            var (code, ctl, _) = await Cli.Tests.Ctl.AgainstAsync("0\0" + answer, token, "policy", "graph");
            Assert.That((code, ctl.Out), Is.EqualTo((1, "")), answer);
            Assert.That(ctl.Error, Does.StartWith("mgmtctl: "), answer);
        }
    }

    private Ctl Ctl() => new(_daemon.SocketPath);

    private async Task ReplaceAsync(string name, string token, string text, params string[] more)
    {
        var ctl = new Ctl(_daemon.SocketPath) { Input = text };
        Assert.That(await ctl.RunAsync(default, ["policy", "replace", name, "-", "--token", token, .. more]), Is.Zero, ctl.Error);
    }

    private string Copy(string name)
    {
        var to = Path.Join(_directory, name);
        foreach (var file in Directory.EnumerateFiles(_daemon.PolicyDirectory, "*", SearchOption.AllDirectories))
        {
            var path = Path.Join(to, Path.GetRelativePath(_daemon.PolicyDirectory, file));
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.Copy(file, path);
        }
        return to;
    }
}
