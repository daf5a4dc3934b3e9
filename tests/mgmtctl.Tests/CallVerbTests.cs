using Mgmt.Wire.Tests;

namespace Mgmt.Cli.Tests;

[CancelAfter(20_000)]
public sealed class CallVerbTests
{
    [TestCase("call mgmt.vm.List", "mgmt.vm.List+ dom0 name dom0\0")]
    [TestCase("call mgmt.vm.List work", "mgmt.vm.List+ dom0 name work\0")]
    [TestCase("call admin.vm.List+ @adminvm --source mgmt", "admin.vm.List+ mgmt keyword adminvm\0")]
    [TestCase("call mgmt.vm.device.pci.Detach+sys-net+00_1f work", "mgmt.vm.device.pci.Detach+sys-net+00_1f dom0 name work\0")]
    [TestCase("call mgmt.vm.property.Set+memory work --payload 800", "mgmt.vm.property.Set+memory dom0 name work\0800")]
    [TestCase("call a.B uuid:0f0e0d0c-0000-0000-0000-000000000001", "a.B+ dom0 name uuid:0f0e0d0c-0000-0000-0000-000000000001\0")]
    public async Task It_sends_these_bytes_and_reads_no_input(string args, string request, CancellationToken token)
    {
        var (code, ctl, requests) = await Ctl.AgainstAsync("0\0a\nb\0c", token, args.Split(' '));
        Assert.That((code, ctl.Out, ctl.Error, requests.Single()), Is.EqualTo((0, "a\nb\0c", "", request)));
    }

    [Test]
    public async Task The_answer_can_be_shown_in_hexadecimal(CancellationToken token)
    {
        var (_, ctl, _) = await Ctl.AgainstAsync("0\0\u0001\u00ff", token, "call", "a.B", "--hex");
        Assert.That(ctl.Out, Is.EqualTo("01ff\n"));
    }

    [Test]
    public async Task A_payload_comes_from_a_file(CancellationToken token)
    {
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, "one\ntwo", token);
        var (code, _, requests) = await Ctl.AgainstAsync("0\0", token, "call", "a.B", "--payload-file", file);
        Assert.That((code, requests.Single()), Is.EqualTo((0, "a.B+ dom0 name dom0\0one\ntwo")));
    }

    [Test]
    public async Task A_payload_comes_from_standard_input_when_told_so(CancellationToken token)
    {
        await using var daemon = ScriptedDaemon.Answering(ScriptedDaemon.NewPath(), "0\0");
        var code = await new Ctl(daemon.Path) { Input = "typed" }.RunAsync(token, "call", "a.B", "--payload-file", "-");
        Assert.That((code, daemon.Requests.Single()), Is.EqualTo((0, "a.B+ dom0 name dom0\0typed")));
    }

    [Test]
    public async Task What_a_guest_says_does_not_reach_the_terminal_as_a_command(CancellationToken token)
    {
        await using var daemon = ScriptedDaemon.Answering(ScriptedDaemon.NewPath(), "0\0a\u001b[2Jb");
        var ctl = new Ctl(daemon.Path) { OutIsTerminal = true };
        await ctl.RunAsync(token, "call", "a.B");
        Assert.That(ctl.Out, Is.EqualTo("a\\x1b[2Jb\n"));
    }

    [TestCase("2\0PermissionDenied\0\0Denied\0", 126, "mgmtctl: Denied\n")]
    [TestCase("2\0QubesDaemonAccessError\0\0Denied\0", 126, "mgmtctl: Denied\n")]
    [TestCase("2\0QubesVMNotFoundError\0\0No such domain: '%s'\0x\n\u001b\0", 1, "mgmtctl: No such domain: 'x\\n\\x1b'\n")]
    [TestCase("2\0QubesException\0\0100%% full\0", 1, "mgmtctl: 100% full\n")]
    [TestCase("", 1, "mgmtctl: Empty reply: the daemon closed the connection without an answer\n")]
    [TestCase("0", 1, "mgmtctl: Incomplete reply: only its first byte came\n")]
    [TestCase("2\0QubesException\0\0%s and %s\0x\0", 1, "mgmtctl: Incomplete reply: fields of an error are missing\n")]
    [TestCase("1\0\0connection-established\0\0", 1, "mgmtctl: The daemon answers with an event stream, not with one reply\n")]
    public async Task Errors_are_one_line_and_an_exit_code(string answer, int expected, string line, CancellationToken token)
    {
        var (code, ctl, _) = await Ctl.AgainstAsync(answer, token, "call", "a.B");
        Assert.That((code, ctl.Out, ctl.Error), Is.EqualTo((expected, "", line)));
    }

    [Test]
    public async Task Nobody_there_is_one_line(CancellationToken token)
    {
        var ctl = new Ctl("/nonexistent/socket");
        Assert.That((await ctl.RunAsync(token, "ls"), ctl.Error),
            Is.EqualTo((1, "mgmtctl: Cannot reach the daemon at /nonexistent/socket: there is no such socket; is it running?\n")));
    }
}
