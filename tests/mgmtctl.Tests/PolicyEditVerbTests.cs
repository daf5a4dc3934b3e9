using Mgmt.Wire.Tests;

namespace Mgmt.Cli.Tests;

[CancelAfter(20_000)]
public sealed class PolicyEditVerbTests
{
    private const string Version = "sha256:00";

    [TestCase("policy remove 30-user", "mgmt.policy.Remove+30-user dom0 name dom0\0any")]
    [TestCase("policy remove 30-user --token sha256:1 --force", "mgmt.policy.Remove+30-user dom0 name dom0\0force:sha256:1")]
    [TestCase("policy remove role --include", "mgmt.policy.include.Remove+role dom0 name dom0\0any")]
    [TestCase("policy revert 30-user 5", "mgmt.policy.Revert+30-user dom0 name dom0\05")]
    [TestCase("policy revert role 5 --force --include", "mgmt.policy.include.Revert+role dom0 name dom0\0force:5")]
    [TestCase("policy replace 30-user", "mgmt.policy.Replace+30-user dom0 name dom0\0any\ntyped\n")]
    [TestCase("policy replace 30-user - --token new", "mgmt.policy.Replace+30-user dom0 name dom0\0new\ntyped\n")]
    [TestCase("policy replace role --include --force", "mgmt.policy.include.Replace+role dom0 name dom0\0force:any\ntyped\n")]
    public async Task A_change_is_this_call_and_says_nothing(string args, string request, CancellationToken token)
    {
        await using var daemon = ScriptedDaemon.Answering(ScriptedDaemon.NewPath(), "0\0");
        var ctl = new Ctl(daemon.Path) { Input = "typed\n" };
        var code = await ctl.RunAsync(token, args.Split(' '));
        Assert.That((code, ctl.Out, ctl.Error, daemon.Requests.Single()), Is.EqualTo((0, "", "", request)));
    }

    [TestCase("policy list", "30-user\n90-x\n", "30-user\n90-x\n")]
    [TestCase("policy list --include --json", "role\n", "[{\"name\":\"role\"}]\n")]
    [TestCase("policy get 30-user", Version + "\n# text\n# more", "# text\n# more")]
    [TestCase("policy get 30-user --token", Version + "\n# text\n", Version + "\n")]
    [TestCase("policy history 30-user", "5 2026-01-01T00:00:00.000Z work sha256:00\n", "5\t2026-01-01T00:00:00.000Z\twork\tsha256:00\n")]
    public async Task An_answer_is_shown(string args, string answer, string text, CancellationToken token)
    {
        var (code, ctl, _) = await Ctl.AgainstAsync("0\0" + answer, token, args.Split(' '));
        Assert.That((code, ctl.Out, ctl.Error), Is.EqualTo((0, text, "")));
    }

    [Test]
    public async Task A_warning_is_told(CancellationToken token)
    {
        var (code, ctl, _) = await Ctl.AgainstAsync("0\0warning=hidden by /run/x\n", token, "policy", "remove", "30-user");
        Assert.That((code, ctl.Error), Is.EqualTo((0, "mgmtctl: warning: hidden by /run/x\n")));
    }

    [Test]
    public async Task Editing_sends_the_new_text_with_the_token_of_the_old(CancellationToken token)
    {
        var (code, ctl, requests) = await EditAsync("sed -i s/old/new/", "", token, "0\0" + Version + "\n# old\n", "0\0");
        Assert.That((code, ctl.Error, requests[1]), Is.EqualTo((0, "", $"mgmt.policy.Replace+30-user dom0 name dom0\0{Version}\n# new\n")));
    }

    [Test]
    public async Task Editing_a_file_that_is_not_there_makes_a_new_one(CancellationToken token)
    {
        var (code, ctl, requests) = await EditAsync("printf '# made\\n' >", "", token, "2\0QubesException\0\0No such policy file: %s\030-user.policy\0", "0\0");
        Assert.That((code, requests[1]), Is.EqualTo((0, "mgmt.policy.Replace+30-user dom0 name dom0\0new\n# made\n")));
        Assert.That(ctl.Error, Does.Contain("No such policy file: 30-user.policy"));
    }

    [TestCase("true", 0, "30-user is unchanged")]
    [TestCase("false", 1, "'false' ended with 1")]
    public async Task Without_an_edit_nothing_is_sent(string editor, int exitCode, string told, CancellationToken token)
    {
        var (code, ctl, requests) = await EditAsync(editor, "", token, "0\0" + Version + "\n# old\n");
        Assert.That((code, requests.Count), Is.EqualTo((exitCode, 1)));
        Assert.That(ctl.Error, Does.Contain(told));
    }

    [Test]
    public async Task A_refused_text_can_be_edited_again(CancellationToken token)
    {
        var (code, ctl, requests) = await EditAsync("printf 'x\\n' >>", "what\ne\n", token,
            "0\0" + Version + "\n# old\n", "2\0QubesException\0\0Broken: %s\030-user.policy:2: junk\0", "0\0");
        Assert.That((code, requests[2]), Is.EqualTo((0, $"mgmt.policy.Replace+30-user dom0 name dom0\0{Version}\n# old\nx\nx\n")));
        Assert.That(ctl.Error, Is.EqualTo("mgmtctl: Broken: 30-user.policy:2: junk\n(e)dit again or (q)uit? (e)dit again or (q)uit? "));
    }

    [TestCase("q\n", 2)]
    [TestCase("", 2)]
    public async Task A_refused_text_is_kept(string answers, int calls, CancellationToken token)
    {
        var (code, ctl, requests) = await EditAsync("printf 'typed\\n' >", answers, token, "0\0" + Version + "\n# old\n", "2\0PermissionDenied\0\0Denied\0");
        Assert.That((code, requests.Count), Is.EqualTo((126, calls)));
        var kept = ctl.Error.TrimEnd('\n').Split(" is in ")[1];
        Assert.That(await File.ReadAllTextAsync(kept, token), Is.EqualTo("typed\n"));
        Directory.Delete(Path.GetDirectoryName(kept)!, recursive: true);
    }

    private static async Task<(int Code, Ctl Ctl, IReadOnlyList<string> Requests)> EditAsync(string editor, string answers, CancellationToken token, params string[] replies)
    {
        var next = 0;
        await using var daemon = ScriptedDaemon.Answering(ScriptedDaemon.NewPath(), _ => System.Text.Encoding.Latin1.GetBytes(replies[next++]));
        var ctl = new Ctl(daemon.Path) { Input = answers, InputIsTerminal = answers.Length > 0 };
        ctl.Variables["EDITOR"] = editor;
        return (await ctl.RunAsync(token, "policy", "edit", "30-user"), ctl, daemon.Requests);
    }
}
