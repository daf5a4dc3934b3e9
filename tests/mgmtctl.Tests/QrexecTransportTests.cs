using System.Globalization;

namespace Mgmt.Cli.Tests;

/// <summary>mgmtctl --connect qrexec:///, with a client that is a script.</summary>
[CancelAfter(20_000)]
public sealed class QrexecTransportTests
{
    private const string Keep = "cd \"${0%/*}\"; printf '%s\\n' \"$@\" >words; cat >input; ";

    [TestCase("start vault", "vault\nmgmt.vm.Start\n", "")]
    [TestCase("call mgmt.vm.property.Set+memory vault --payload 800", "vault\nmgmt.vm.property.Set+memory\n", "800")]
    [TestCase("call mgmt.vm.List", "dom0\nmgmt.vm.List\n", "")]
    [TestCase("call mgmt.vm.List @adminvm", "dom0\nmgmt.vm.List\n", "")]
    [TestCase("call mgmt.vm.List @default", "dom0\nmgmt.vm.List\n", "")]
    [TestCase("call admin.vm.List uuid:00000000-0000-0000-0000-000000000001", "uuid:00000000-0000-0000-0000-000000000001\nadmin.vm.List\n", "")]
    public async Task A_call_is_a_run_of_the_client_with_the_payload_as_its_input(string args, string words, string input, CancellationToken token)
    {
        using var client = new ClientScript(Keep + "printf '0\\0done'");
        var ctl = client.Ctl();
        Assert.That(await ctl.RunAsync(token, [.. args.Split(' '), "--connect", "qrexec:///"]), Is.Zero, ctl.Error);
        Assert.That((client.Written("words"), client.Written("input")), Is.EqualTo((words, input)));
    }

    [Test]
    public async Task A_refusal_by_the_daemon_is_told_as_on_the_socket(CancellationToken token)
    {
        using var client = new ClientScript(Keep + "printf '2\\0QubesVMNotFoundError\\0\\0No such domain: %%s\\0vault\\0'");
        Assert.That(await OutcomeAsync(client, token, "start", "vault"), Is.EqualTo((1, "mgmtctl: No such domain: vault\n")));
    }

    [TestCase(126, "Request refused", 126, "mgmtctl: Denied by policy: mgmt.vm.Start to vault (the host's audit log says why)\n")]
    [TestCase(125, "qrexec-client-vm: waiting\nqrexec-client-vm: the host does not answer", 1, "mgmtctl: The host was not reached: qrexec-client-vm: the host does not answer\n")]
    [TestCase(255, "lost", 1, "mgmtctl: The connection to the host was lost during mgmt.vm.Start; what it did, if anything, the host knows\n")]
    [TestCase(1, "port.0: Permission denied", 1, "mgmtctl: This guest has no channels to its host, or you may not use them: port.0: Permission denied\n")]
    [TestCase(3, "", 1, "mgmtctl: qrexec-client-vm ended with exit code 3: it does not say why\n")]
    public async Task What_the_client_ends_with_is_an_error_with_a_reason(int ends, string says, int exitCode, string error, CancellationToken token)
    {
        using var client = new ClientScript(string.Create(CultureInfo.InvariantCulture, $"cat >/dev/null; printf '{says}\\n' >&2; exit {ends}"));
        Assert.That(await OutcomeAsync(client, token, "start", "vault"), Is.EqualTo((exitCode, error)));
    }

    [Test]
    public async Task A_client_that_ends_before_it_took_the_payload_is_heard_all_the_same(CancellationToken token)
    {
        using var client = new ClientScript("head -c 1 >/dev/null; exec <&-; printf '2\\0ProtocolError\\0\\0too much\\0'");
        var image = Path.Combine(client.Directory, "image");
        await File.WriteAllBytesAsync(image, new byte[8 << 20], token);
        Assert.That(await OutcomeAsync(client, token, "volume", "import", "work:private", image), Is.EqualTo((1, "mgmtctl: too much\n")));
    }

    [Test]
    public async Task Without_a_client_the_error_says_what_is_missing(CancellationToken token)
    {
        using var client = new ClientScript("exit 0");
        File.SetUnixFileMode(Path.Combine(client.Directory, "qrexec-client-vm"), UnixFileMode.UserRead);
        var (code, error) = await OutcomeAsync(client, token, "ls");
        Assert.That((code, error), Is.EqualTo((1, "mgmtctl: There is no qrexec-client-vm in PATH: this is no guest, or the programs of a guest are not installed in it\n")));
    }

    [TestCase("call mgmt.vm.List --source work", "--source cannot be used with qrexec:///")]
    [TestCase("call mgmt.vm.List --source dom0", "--source cannot be used with qrexec:///")]
    [TestCase("ls --socket /s", "--connect and --socket cannot be used together")]
    public async Task Who_calls_is_the_hosts_to_say(string args, string says, CancellationToken token)
    {
        using var client = new ClientScript(Keep);
        var ctl = client.Ctl();
        Assert.That(await ctl.RunAsync(token, [.. args.Split(' '), "--connect", "qrexec:///"]), Is.EqualTo(2));
        Assert.That(ctl.Error, Does.Contain(says));
        Assert.That(File.Exists(Path.Combine(client.Directory, "words")), Is.False);
    }

    [Test]
    public async Task What_would_be_an_option_of_the_client_is_no_target(CancellationToken token)
    {
        using var client = new ClientScript(Keep);
        Assert.That(await OutcomeAsync(client, token, "start", "--", "--source-qube=dom0"), Is.EqualTo((1, "mgmtctl: '--source-qube=dom0' is no VM\n")));
        Assert.That(File.Exists(Path.Combine(client.Directory, "words")), Is.False);
    }

    [Test]
    public async Task A_call_that_is_given_up_ends_the_client(CancellationToken token)
    {
        // The client has the write end open for as long as it lives, whatever it is told.
        using var client = new ClientScript("trap '' TERM INT; mkfifo \"${0%/*}/alive.new\"; mv \"${0%/*}/alive.new\" \"${0%/*}/alive\"; exec 3>\"${0%/*}/alive\"; exec sleep 600");
        using var giveUp = CancellationTokenSource.CreateLinkedTokenSource(token);
        var run = client.Ctl().RunAsync(giveUp.Token, "events", "--connect", "qrexec:///");
        var fifo = Path.Combine(client.Directory, "alive");
        await UntilAsync(() => File.Exists(fifo), token);
        await using var alive = await Task.Run(() => new FileStream(fifo, FileMode.Open, FileAccess.Read), token);
        await giveUp.CancelAsync();
        Assert.That(await run, Is.EqualTo(130));
        Assert.That(await alive.ReadAsync(new byte[1], token), Is.Zero);
    }

    private static async Task<(int Code, string Error)> OutcomeAsync(ClientScript client, CancellationToken token, params string[] args)
    {
        var ctl = client.Ctl();
        return (await ctl.RunAsync(token, ["--connect", "qrexec:///", .. args]), ctl.Error);
    }

    /// <summary>A file of another process gives no signal, so it is looked for until the test's deadline.</summary>
    private static async Task UntilAsync(Func<bool> condition, CancellationToken token)
    {
        while (!condition())
        {
            await Task.Delay(5, token);
        }
    }
}
