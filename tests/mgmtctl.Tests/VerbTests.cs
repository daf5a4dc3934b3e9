using System.Text.Json;
using Mgmt.Wire.Tests;

namespace Mgmt.Cli.Tests;

[CancelAfter(20_000)]
public sealed class VerbTests
{
    [TestCase("start work", "mgmt.vm.Start+ dom0 name work\0")]
    [TestCase("kill work", "mgmt.vm.Kill+ dom0 name work\0")]
    [TestCase("pause work", "mgmt.vm.Pause+ dom0 name work\0")]
    [TestCase("unpause work", "mgmt.vm.Unpause+ dom0 name work\0")]
    [TestCase("suspend work", "mgmt.vm.Suspend+ dom0 name work\0")]
    [TestCase("resume work", "mgmt.vm.Resume+ dom0 name work\0")]
    [TestCase("notes work hello", "mgmt.vm.notes.Set+ dom0 name work\0hello")]
    [TestCase("notes work ", "mgmt.vm.notes.Set+ dom0 name work\0")]
    [TestCase("firewall reload work", "mgmt.vm.firewall.Reload+ dom0 name work\0")]
    [TestCase("shutdown work", "mgmt.vm.Shutdown+ dom0 name work\0")]
    [TestCase("shutdown work --wait", "mgmt.vm.Shutdown+wait dom0 name work\0")]
    [TestCase("shutdown --force work", "mgmt.vm.Shutdown+force dom0 name work\0")]
    [TestCase("shutdown work --wait --force", "mgmt.vm.Shutdown+force+wait dom0 name work\0")]
    [TestCase("rm work", "mgmt.vm.Remove+ dom0 name work\0")]
    [TestCase("create work", "mgmt.vm.Create.AppVM+ dom0 name dom0\0name=work label=red")]
    [TestCase("create work --class StandaloneVM --template debian --label blue", "mgmt.vm.Create.StandaloneVM+debian dom0 name dom0\0name=work label=blue")]
    [TestCase("create work --pool fast", "mgmt.vm.CreateInPool.AppVM+ dom0 name dom0\0name=work label=red pool=fast")]
    [TestCase("create work --pool root=big --pool private=fast", "mgmt.vm.CreateInPool.AppVM+ dom0 name dom0\0name=work label=red pool:root=big pool:private=fast")]
    [TestCase("prefs work memory 800", "mgmt.vm.property.Set+memory dom0 name work\0800")]
    [TestCase("prefs work netvm ", "mgmt.vm.property.Set+netvm dom0 name work\0")]
    [TestCase("prefs work memory --reset", "mgmt.vm.property.Reset+memory dom0 name work\0")]
    [TestCase("prefs --global default_template debian", "mgmt.property.Set+default_template dom0 name dom0\0debian")]
    [TestCase("features work gui 1", "mgmt.vm.feature.Set+gui dom0 name work\01")]
    [TestCase("features work gui --unset", "mgmt.vm.feature.Remove+gui dom0 name work\0")]
    [TestCase("tags work add office", "mgmt.vm.tag.Set+office dom0 name work\0")]
    [TestCase("tags work del office", "mgmt.vm.tag.Remove+office dom0 name work\0")]
    [TestCase("label create teal 008080", "mgmt.label.Create+teal dom0 name dom0\00x008080")]
    [TestCase("label rm teal", "mgmt.label.Remove+teal dom0 name dom0\0")]
    [TestCase("calls cancel 17", "mgmt.call.Cancel+17 dom0 name dom0\0")]
    public async Task A_change_is_this_call_and_says_nothing(string args, string request, CancellationToken token)
    {
        var (code, ctl, requests) = await Ctl.AgainstAsync("0\0", token, args.Split(' '));
        Assert.That((code, ctl.Out, ctl.Error, requests.Single()), Is.EqualTo((0, "", "", request)));
    }

    [TestCase("ls", "work class=AppVM state=Running uuid=x\n", "work\tAppVM\tRunning\n")]
    [TestCase("ls", "", "")]
    [TestCase("prefs work", "kernelopts default=no type=str a\\nb\\\\c\nnetvm default=yes type=vm \n", "kernelopts\tno\tstr\ta\\nb\\\\c\nnetvm\tyes\tvm\t\n")]
    [TestCase("prefs work memory", "default=yes type=int 400", "400\n")]
    [TestCase("prefs --global clockvm", "default=False type=vm ", "\n")]
    [TestCase("prefs work memory --default", "type=int 400", "400\n")]
    [TestCase("prefs work qid --default", "", "\n")]
    [TestCase("prefs work memory --help-property", "Memory in MiB", "Memory in MiB\n")]
    [TestCase("features work gui", "1", "1\n")]
    [TestCase("tags work", "a\nb\n", "a\nb\n")]
    [TestCase("tags work list a", "1", "1\n")]
    [TestCase("label get red", "0xcc0000", "0xcc0000\n")]
    [TestCase("disposable", "disp7", "disp7\n")]
    [TestCase("disposable dvm", "disp7", "disp7\n")]
    [TestCase("notes work", "a\nb", "a\nb")]
    [TestCase("notes work", "", "")]
    [TestCase("firewall show work", "action=accept dst4=10.0.0.0/8 comment=the office\naction=drop\n", "action=accept dst4=10.0.0.0/8 comment=the office\naction=drop\n")]
    [TestCase("top --once", "work class=AppVM state=Halted\n", "")]
    [TestCase("volume info work:root", "pool=default\nvid=a/b\n", "pool\tdefault\nvid\ta/b\n")]
    [TestCase("pool info default", "driver=file\nsize=\n", "driver\tfile\nsize\t\n")]
    [TestCase("pool drivers", "file dir_path revisions_to_keep\nlinux-kernel dir_path\nnull\n", "file\tdir_path revisions_to_keep\nlinux-kernel\tdir_path\nnull\t\n")]
    [TestCase("calls", "17 method=mgmt.vm.Start source=dom0 target=work age_ms=5 via=virtio-serial\n", "17\tmgmt.vm.Start\tdom0\twork\t5\tvirtio-serial\n")]
    [TestCase("calls channels", "[{\"vm\":\"work\",\"calls\":2,\"calls_limit\":32,\"ports\":[{\"port\":0,\"connected\":true,\"open\":true,\"call\":7},{\"port\":1,\"connected\":true,\"open\":false},{\"port\":2,\"connected\":true},{\"port\":3,\"connected\":false}],\"agent_ports\":[{\"port\":0,\"source\":\"mail\",\"call\":9},{\"port\":1}],\"vchan\":{\"connected\":true,\"version\":4,\"data_channels\":1},\"in_flight\":[{\"id\":7,\"method\":\"mgmt.Events\",\"target\":\"dom0\",\"via\":\"virtio-serial\",\"in\":3,\"out\":2048,\"age_ms\":5,\"caller_gone\":false},{\"method\":\"x.Y\",\"target\":\"mail\",\"via\":\"vchan-socket\",\"in\":0,\"out\":0,\"age_ms\":1,\"caller_gone\":true}]}]",
        "work\tcalls\t2 of 32\t\t\t\t\t\t\nwork\tport 0\topen\t7\tmgmt.Events\tdom0\t3\t2048\t5\nwork\tport 1\tclosed\t\t\t\t\t\t\nwork\tport 2\tidle\t\t\t\t\t\t\n"
        + "work\tport 3\tnot connected\t\t\t\t\t\t\nwork\tagent port 0\tserves mail\t9\t\t\t\t\t\nwork\tagent port 1\tfree\t\t\t\t\t\t\nwork\tvchan\tversion 4, 1 data\t\t\t\t\t\t\n"
        + "work\tvchan-socket\tcaller gone\t\tx.Y\tmail\t0\t0\t1\n")]
    [TestCase("agent work osinfo", "{\"id\":\"debian\",\"versions\":[1,2],\"none\":null}", "id\tdebian\nversions.0\t1\nversions.1\t2\nnone\t\n")]
    [TestCase("export-test-host -", "{\"vms\":[]}", "{\"vms\":[]}")]
    public async Task An_answer_is_lines_of_cells_between_tabs(string args, string answer, string text, CancellationToken token)
    {
        var (code, ctl, _) = await Ctl.AgainstAsync("0\0" + answer, token, args.Split(' '));
        Assert.That((code, ctl.Out, ctl.Error), Is.EqualTo((0, text, "")));
    }

    [TestCase("ls --json", "work class=AppVM state=Running\n", "[{\"name\":\"work\",\"class\":\"AppVM\",\"state\":\"Running\"}]\n")]
    [TestCase("ls --json", "", "[]\n")]
    [TestCase("--json prefs work", "a default=yes type=str x\\ny\n", "[{\"name\":\"a\",\"default\":true,\"type\":\"str\",\"value\":\"x\\ny\"}]\n")]
    [TestCase("prefs work a --json", "default=no type=int 5", "{\"name\":\"a\",\"default\":false,\"type\":\"int\",\"value\":\"5\"}\n")]
    [TestCase("tags work --json", "a\n", "[{\"tag\":\"a\"}]\n")]
    [TestCase("pool info p --json", "driver=file\n", "{\"driver\":\"file\"}\n")]
    [TestCase("label get red --json", "0xcc0000", "{\"color\":\"0xcc0000\"}\n")]
    [TestCase("notes work --json", "a\nb", "{\"notes\":\"a\\nb\"}\n")]
    [TestCase("firewall show work --json", "action=drop\n", "[{\"rule\":\"action=drop\"}]\n")]
    [TestCase("status --json", "{ \"daemon\": {} }", "{\"daemon\":{}}\n")]
    [TestCase("calls channels --json", "[{\"vm\":\"work\",\"calls\":0}]", "[{\"vm\":\"work\",\"calls\":0}]\n")]
    [TestCase("agent work info --json", "{\"a\":[1]}", "{\"a\":[1]}\n")]
    public async Task An_answer_is_JSON_when_asked_for(string args, string answer, string text, CancellationToken token)
    {
        var (code, ctl, _) = await Ctl.AgainstAsync("0\0" + answer, token, args.Split(' '));
        Assert.That((code, ctl.Out), Is.EqualTo((0, text)));
        Assert.DoesNotThrow(() => JsonDocument.Parse(ctl.Out).Dispose());
    }

    [TestCase("prefs work memory", "400")]
    [TestCase("status", "{")]
    [TestCase("agent work info", "")]
    public async Task An_answer_of_another_shape_is_one_line(string args, string answer, CancellationToken token)
    {
        var (code, ctl, _) = await Ctl.AgainstAsync("0\0" + answer, token, args.Split(' '));
        Assert.That((code, ctl.Out), Is.EqualTo((1, "")));
        Assert.That(ctl.Error, Does.StartWith("mgmtctl: The daemon's answer is no").And.EndsWith("\n"));
    }

    [TestCase("pool ls", "pool.List", "a\n", "pool.Info+a", "driver=file\nname=a\nsize=10\nusage=5\n", "a\tfile\t10\t5\n")]
    [TestCase("volume ls work", "volume.List", "root\n", "volume.Info+root", "pool=p\nvid=v\nsize=1\nusage=0\nrw=True\n", "root\tp\tv\t1\t0\tTrue\t\t\n")]
    [TestCase("features work", "feature.List", "gui\n", "feature.Get+gui", "1", "gui\t1\n")]
    public async Task A_list_is_filled_in_by_asking_for_each(string args, string list, string names, string info, string facts, string text, CancellationToken token)
    {
        var (_, ctl, requests) = await Ctl.AgainstAsync(request => "0\0" + (request.Contains(list, StringComparison.Ordinal) ? names : facts), token, args.Split(' '));
        Assert.That(ctl.Out, Is.EqualTo(text));
        Assert.That(requests[1], Does.Contain(info));
    }

    [Test]
    public async Task A_table_on_a_terminal_has_a_heading_and_fits(CancellationToken token)
    {
        await using var daemon = ScriptedDaemon.Answering(ScriptedDaemon.NewPath(), "0\0work class=AppVM state=Running\nw\u001b[1m class=[red] state=x\n");
        var ctl = new Ctl(daemon.Path) { OutIsTerminal = true, Width = 40 };
        await ctl.RunAsync(token, "ls");
        var lines = ctl.Out.Split('\n');
        Assert.Multiple(() =>
        {
            Assert.That(lines[0], Does.Match("^NAME +CLASS +STATE"));
            Assert.That(ctl.Out, Does.Contain("work").And.Contain("\\x1b[1m").And.Contain("[red]").And.Not.Contain("\u001b"));
            Assert.That(lines, Has.All.Length.LessThanOrEqualTo(40));
        });
    }

    [Test]
    public async Task Each_vm_is_asked_and_each_refusal_is_named(CancellationToken token)
    {
        var (code, ctl, requests) = await Ctl.AgainstAsync(
            request => request.Contains("name a", StringComparison.Ordinal) ? "2\0QubesException\0\0no\0" : request.Contains("name b", StringComparison.Ordinal) ? "2\0PermissionDenied\0\0Denied\0" : "0\0",
            token, "start", "a", "b", "c");
        Assert.That((code, ctl.Error, requests.Count), Is.EqualTo((126, "mgmtctl: a: no\nmgmtctl: b: Denied\n", 3)));
    }

    [Test]
    public async Task Vms_shut_down_together_when_waited_for(CancellationToken token)
    {
        var both = new CountdownEvent(2);
        var down = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var daemon = new ScriptedDaemon(ScriptedDaemon.NewPath(), async (_, socket, stop) =>
        {
            if (both.Signal())
            {
                down.SetResult();
            }
            await down.Task.WaitAsync(stop);
            await socket.SendAsync("0\0"u8.ToArray(), stop);
        });
        Assert.That(await new Ctl(daemon.Path).RunAsync(token, "shutdown", "--wait", "a", "b"), Is.Zero);
    }

    [Test]
    public async Task A_root_image_is_streamed_with_its_size_and_then_labelled(CancellationToken token)
    {
        var image = Path.GetTempFileName();
        await File.WriteAllTextAsync(image, new string('i', 200_000), token);
        var (code, ctl, requests) = await Ctl.AgainstAsync("0\0", token, "create", "debian", "--root-image", image, "--label", "black");
        Assert.That((code, ctl.Error), Is.EqualTo((0, "")));
        Assert.That(requests, Is.EqualTo(new[]
        {
            "mgmt.vm.CreateTemplate+debian+200000 dom0 name dom0\0" + new string('i', 200_000),
            "mgmt.vm.property.Set+label dom0 name debian\0black",
        }));
    }

    [Test]
    public async Task A_person_sees_how_far_an_image_is(CancellationToken token)
    {
        var image = Path.GetTempFileName();
        await File.WriteAllTextAsync(image, new string('i', 200_000), token);
        await using var daemon = ScriptedDaemon.Answering(ScriptedDaemon.NewPath(), "0\0");
        var ctl = new Ctl(daemon.Path) { ErrorIsTerminal = true };
        Assert.That((await ctl.RunAsync(token, "create", "debian", "--root-image", image), ctl.Out), Is.EqualTo((0, "")));
        Assert.That(ctl.Error, Does.Contain("debian").And.Contain("\u001b["));
    }

    [TestCase("y\n", true, 0)]
    [TestCase("\n", false, 1)]
    [TestCase("", false, 1)]
    public async Task A_person_is_asked_before_a_vm_is_removed(string input, bool removed, int expected, CancellationToken token)
    {
        await using var daemon = ScriptedDaemon.Answering(ScriptedDaemon.NewPath(), "0\0");
        var ctl = new Ctl(daemon.Path) { InputIsTerminal = true, Input = input };
        Assert.That((await ctl.RunAsync(token, "rm", "work"), daemon.Requests.Count), Is.EqualTo((expected, removed ? 1 : 0)));
        Assert.That(ctl.Error, Does.StartWith("Remove work and all data"));
    }

    [Test]
    public async Task Nobody_is_asked_when_forced(CancellationToken token)
    {
        await using var daemon = ScriptedDaemon.Answering(ScriptedDaemon.NewPath(), "0\0");
        Assert.That(await new Ctl(daemon.Path) { InputIsTerminal = true }.RunAsync(token, "rm", "--force", "work"), Is.Zero);
    }

    [Test]
    public async Task The_status_is_shown_whatever_members_it_has(CancellationToken token)
    {
        const string Status = """{"daemon":{"version":"0.1.0","pid":7},"policy":{"state":"stale","errors":["a:1: x"]},"new":true,"vms":[{"name":"work","state":"Running","agent":"ready","faults":["disk","x"]},{"name":"bare"}],"notes":["no network"]}""";
        var (code, ctl, _) = await Ctl.AgainstAsync("0\0" + Status, token, "status");
        Assert.That((code, ctl.Out), Is.EqualTo((0, "daemon.version\t0.1.0\ndaemon.pid\t7\npolicy.state\tstale\npolicy.errors.0\ta:1: x\nnew\ttrue\nnotes.0\tno network\n\nwork\tRunning\tready\tdisk,x\nbare\t\t\t\n")));
    }
}
