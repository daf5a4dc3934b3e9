using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>The sockets of qrexec's policy daemon, byte by byte.</summary>
[NonParallelizable]
public sealed class QrexecSocketTests : DaemonFixture
{
    private const int FrontEnd = 54321;
    private const int Stranger = 54322;
    private const string Host = """
        {
          "pools": { "default": { "driver": "qcow2" } },
          "vms": {
            "debian": { "class": "TemplateVM", "uuid": "00000000-0000-4000-8000-0000000000d0", "properties": { "label": "black" } },
            "work": { "class": "AppVM", "uuid": "00000000-0000-4000-8000-000000000001", "tags": ["guivm-gui"], "properties": { "label": "red", "template": "debian", "default_dispvm": "dvm" } },
            "vault": { "class": "AppVM", "uuid": "00000000-0000-4000-8000-000000000002", "tags": ["guivm-gui"], "properties": { "label": "red", "template": "debian" } },
            "web": { "class": "AppVM", "uuid": "00000000-0000-4000-8000-000000000003", "properties": { "label": "red", "template": "debian" } },
            "dvm": { "class": "AppVM", "uuid": "00000000-0000-4000-8000-000000000004", "properties": { "label": "red", "template": "debian", "template_for_dispvms": "True" } },
            "relay": { "class": "AppVM", "uuid": "00000000-0000-4000-8000-000000000005", "properties": { "label": "red", "template": "debian" } },
            "far": { "class": "RemoteVM", "uuid": "00000000-0000-4000-8000-000000000006", "properties": { "label": "red", "relayvm": "relay", "transport_rpc": "qubesair.SSHProxy" } },
            "lost": { "class": "RemoteVM", "uuid": "00000000-0000-4000-8000-000000000007", "properties": { "label": "red" } }
          }
        }
        """;

    private readonly string _directory = Directory.CreateTempSubdirectory("mgmtd-qrexec-").FullName;

    private string Policy => Path.Combine(_directory, "policy.sock");

    private string Simple => Path.Combine(_directory, "policy.EvalSimple");

    private string Gui => Path.Combine(_directory, "policy.EvalGUI");

    protected override DaemonOptions Options => new()
    {
        Host = Host,
        Config = $$"""{ "front-end-uids": ["{{FrontEnd}}"], "request-deadline-s": 2, "qrexec-policy-socket": "{{Policy}}", "qrexec-eval-simple-socket": "{{Simple}}", "qrexec-eval-gui-socket": "{{Gui}}" }""",
        Policy = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["20-test.policy"] = """
                qubes.Copy * work vault allow
                qubes.Copy * work web ask default_target=web
                qubes.Copy * work @dispvm allow user=joe autostart=no
                qubes.Copy * work far allow user=joe
                qubes.Copy * far vault allow
                qubes.Lost * work lost allow
                qubes.Self * work work allow
                qubes.Open * work @default allow target=vault user=joe
                qubes.Open * work web deny notify=yes
                qubes.Disp * work @dispvm allow
                qubes.Dom0 * work @adminvm allow
                qubes.Dom0 * far @adminvm allow
                mgmt.vm.CurrentState * work vault allow
                mgmt.vm.CurrentState * work web ask
                mgmt.vm.property.Set +label+blue work vault allow

                """,
        },
    };

    [OneTimeTearDown]
    public void RemoveDirectory() => Directory.Delete(_directory, recursive: true);

    private const string Vault = "target=vault\ntarget_uuid=uuid:00000000-0000-4000-8000-000000000002\n";

    [TestCase("source=work\nintended_target=vault\nservice_and_arg=qubes.Copy\n\n", "user=DEFAULT\nresult=allow\n" + Vault + "autostart=True\nrequested_target=vault")]
    [TestCase("service_and_arg=qubes.Copy+a+b\nintended_target=uuid:00000000-0000-4000-8000-000000000002\nsource=uuid:00000000-0000-4000-8000-000000000001\n", "user=DEFAULT\nresult=allow\n" + Vault + "autostart=True\nrequested_target=uuid:00000000-0000-4000-8000-000000000002")]
    [TestCase("source=work\nintended_target=\nservice_and_arg=qubes.Open\n\n", "user=joe\nresult=allow\n" + Vault + "autostart=True\nrequested_target=@default")]
    [TestCase("source=work\nintended_target=nobody\nservice_and_arg=qubes.Open\n\n", "user=joe\nresult=allow\n" + Vault + "autostart=True\nrequested_target=@default")]
    [TestCase("source=work\nintended_target=@dispvm\nservice_and_arg=qubes.Disp\n\n", "user=DEFAULT\nresult=allow\ntarget=@dispvm:dvm\ntarget_uuid=@dispvm:uuid:00000000-0000-4000-8000-000000000004\nautostart=True\nrequested_target=@dispvm")]
    [TestCase("source=work\nintended_target=@dispvm\nservice_and_arg=qubes.Copy\n\n", "result=deny")]
    [TestCase("source=work\nintended_target=dom0\nservice_and_arg=qubes.Dom0+x\n\n", "user=DEFAULT\nresult=allow\ntarget=dom0\nautostart=True\nrequested_target=dom0")]
    [TestCase("source=work\nintended_target=@adminvm\nservice_and_arg=qubes.Dom0\n\n", "user=DEFAULT\nresult=allow\ntarget=dom0\nautostart=True\nrequested_target=@adminvm")]
    [TestCase("source=work\nintended_target=far\nservice_and_arg=qubes.Copy+a\n\n", "user=DEFAULT\nresult=allow\ntarget=relay\ntarget_uuid=uuid:00000000-0000-4000-8000-000000000005\nautostart=True\nrequested_target=far\nservice=qubesair.SSHProxy+far+qubes.Copy+a")]
    [TestCase("source=relay\nrequested_source=far\nintended_target=vault\nservice_and_arg=qubes.Copy\n\n", "user=DEFAULT\nresult=allow\n" + Vault + "autostart=True\nrequested_target=vault\npolicy_source=far")]
    [TestCase("source=relay\nrequested_source=far\nintended_target=dom0\nservice_and_arg=qubes.Dom0\n\n", "user=DEFAULT\nresult=allow\ntarget=dom0\nautostart=True\nrequested_target=dom0")]
    [TestCase("source=web\nrequested_source=far\nintended_target=vault\nservice_and_arg=qubes.Copy\n\n", "result=deny")]
    [TestCase("source=work\nintended_target=web\nservice_and_arg=qubes.Open\n\n", "result=deny")]
    [TestCase("source=work\nintended_target=lost\nservice_and_arg=qubes.Lost\n\n", "result=deny")]
    [TestCase("source=work\nintended_target=work\nservice_and_arg=qubes.Self\n\n", "result=deny")]
    [TestCase("source=work\nintended_target=uuid:00000000-0000-4000-8000-000000000001\nservice_and_arg=qubes.Self\n\n", "result=deny")]
    [TestCase("source=work\nintended_target=work\nservice_and_arg=qubes.Self\njust_evaluate=yes\n\n", "result=allow")]
    [TestCase("source=work\nintended_target=work\nservice_and_arg=qubes.Copy\n\n", "result=deny")]
    [TestCase("source=work\nintended_target=@anyvm\nservice_and_arg=qubes.Copy\n\n", "result=deny")]
    [TestCase("source=work\nintended_target=web\nservice_and_arg=qubes.Copy\nassume_yes_for_ask=yes\n\n", "user=DEFAULT\nresult=allow\ntarget=web\ntarget_uuid=uuid:00000000-0000-4000-8000-000000000003\nautostart=True\nrequested_target=web")]
    [TestCase("source=work\nintended_target=web\nservice_and_arg=qubes.Copy\njust_evaluate=yes\n\n", "result=deny")]
    [TestCase("source=work\nintended_target=vault\nservice_and_arg=qubes.Copy\njust_evaluate=yes\nassume_yes_for_ask=no\n\n", "result=allow")]
    [TestCase("source=work\nintended_target=web\nservice_and_arg=qubes.Copy\njust_evaluate=yes\nassume_yes_for_ask=yes\n\n", "result=allow")]
    [TestCase("source=work\nintended_target=vault\nservice_and_arg=mgmt.vm.CurrentState\n\n", "user=DEFAULT\nresult=allow\ntarget=dom0\nautostart=True\nrequested_target=vault")]
    [TestCase("source=work\nintended_target=web\nservice_and_arg=admin.vm.CurrentState\njust_evaluate=yes\n\n", "result=deny")]
    [TestCase("source=work\nintended_target=vault\nservice_and_arg=mgmt.vm.property.Set+label\n\n", "user=DEFAULT\nresult=allow\ntarget=dom0\nautostart=True\nrequested_target=vault")]
    [TestCase("source=relay\nrequested_source=far\nintended_target=vault\nservice_and_arg=mgmt.vm.CurrentState\n\n", "result=deny")]
    public async Task A_decision_is_answered_to_the_byte(string request, string answer) => Assert.That(await SendAsync(Policy, request), Is.EqualTo(answer));

    [TestCase("", TestName = "nothing")]
    [TestCase("\n", TestName = "an empty line")]
    [TestCase("source=work\nintended_target=vault\n\n", TestName = "a key is missing")]
    [TestCase("source=work\nsource=work\nintended_target=vault\nservice_and_arg=qubes.Copy\n\n", TestName = "a key twice")]
    [TestCase("source=work\nintended_target=vault\nservice_and_arg=qubes.Copy\ndomain_id=1\n\n", TestName = "an unknown key")]
    [TestCase("source=work\nintended_target=vault\nservice_and_arg\n\n", TestName = "no equals sign")]
    [TestCase("source=work\nintended_target=vault\nservice_and_arg=qubes.Copy\njust_evaluate=maybe\n\n", TestName = "no truth value")]
    [TestCase("source=w\xf6rk\nintended_target=vault\nservice_and_arg=qubes.Copy\n\n", TestName = "not ASCII")]
    [TestCase("source=wo\0rk\nintended_target=vault\nservice_and_arg=qubes.Copy\n\n", TestName = "a NUL")]
    [TestCase("source=work\r\nintended_target=vault\r\nservice_and_arg=qubes.Copy\r\n\r\n", TestName = "CRLF")]
    public async Task A_malformed_request_is_closed_without_an_answer(string request) => Assert.That(await SendAsync(Policy, request), Is.Empty);

    [Test]
    public async Task An_endless_request_and_one_that_never_ends_are_closed_without_an_answer()
    {
        Assert.That(await SendAsync(Policy, "service_and_arg=" + new string('a', 70_000)), Is.Empty);
        Assert.That(await SendAsync(Policy, "source=work\n", halfClose: false), Is.Empty);
        Assert.That(await SendAsync(Policy, "source=work\nintended_target=vault\nservice_and_arg=qubes.Copy\n\n", halfClose: false), Does.StartWith("user="), "an empty line is the end");
    }

    [Test]
    public async Task Any_bytes_are_answered_or_closed_and_the_next_request_is_served()
    {
        string[] pieces = ["source=", "work", "dom0", "\n", "\0", " ", "=", "intended_target=", "@dispvm:", "@", "uuid:", "service_and_arg=", "qubes.Copy", "mgmt.vm.Start", "+", "\xff", "just_evaluate=yes\n",
            "policy.EvalSimple+", "policy.EvalGUI+", "source=work\nintended_target=", "\nservice_and_arg=admin.vm."];
        var seed = Random.Shared.Next();
        var random = new Random(seed);
        for (var i = 0; i < 300; i++)
        {
            var request = string.Concat(random.GetItems(pieces, random.Next(1, 12)));
            var answer = await SendAsync(new[] { Policy, Simple, Gui }[i % 3], request);
            Assert.That(answer, Is.Empty.Or.Contains("result="), $"seed {seed}, {i}: {request}");
        }
        Assert.That(await SendAsync(Policy, "source=work\nintended_target=vault\nservice_and_arg=qubes.Copy\n\n"), Does.StartWith("user=DEFAULT\n"));
    }

    [Test]
    public async Task A_path_that_holds_something_else_is_left_alone_and_said()
    {
        var file = Path.Combine(_directory, "precious");
        await File.WriteAllTextAsync(file, "text");
        var (code, output) = await DaemonProcess.RunAsync(new DaemonOptions { Config = $$"""{ "qrexec-policy-socket": "{{file}}" }""" });
        Assert.That((code, await File.ReadAllTextAsync(file)), Is.EqualTo((1, "text")));
        Assert.That(output, Does.Contain($"{file} is no socket"));
        Assert.That((await DaemonProcess.RunAsync(new DaemonOptions { Config = """{ "qrexec-policy-socket": "relative" }""" })).ExitCode, Is.EqualTo(2));
    }

    [Test]
    public async Task One_question_is_enough_for_the_decision_and_the_call()
    {
        using var agent = TestAgent.Of(Daemon);
        var decision = SendAsync(Policy, "source=work\nintended_target=web\nservice_and_arg=mgmt.vm.CurrentState\n\n", halfClose: false);
        var question = await agent.NextAsync();
        Assert.That(question.Json.GetProperty("targets")[0].GetString(), Is.EqualTo("web"));
        await question.AnswerAsync("allow:web");
        Assert.That(await decision, Is.EqualTo("user=DEFAULT\nresult=allow\ntarget=dom0\nautostart=True\nrequested_target=web"));

        // The front end delivers the call; nobody is asked again, and the agent would have to be.
        await Daemon.OkAsync("mgmt.vm.CurrentState", "web", source: "work");
        var again = Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.vm.CurrentState", "web", source: "work");
        await (await agent.NextAsync()).AnswerAsync("deny");
        await again;
    }

    [Test]
    public async Task What_is_chosen_is_where_the_call_goes_and_a_front_end_that_leaves_takes_its_question_along()
    {
        using var agent = TestAgent.Of(Daemon);
        const string request = "source=work\nintended_target=web\nservice_and_arg=qubes.Copy\n\n";
        var decision = SendAsync(Policy, request);
        var question = await agent.NextAsync();
        Assert.That(question.Json.GetProperty("targets").EnumerateArray().Select(t => t.GetString()), Is.EqualTo(new[] { "@dispvm:dvm", "far", "vault", "web" }));
        Assert.That(question.Json.GetProperty("default_target").GetString(), Is.EqualTo("web"));
        Assert.That(question.Json.GetProperty("icons").GetProperty("@dispvm:dvm").GetString(), Is.EqualTo("dispvm-red"));
        await question.AnswerAsync("allow:vault");
        Assert.That(await decision, Is.EqualTo("user=DEFAULT\nresult=allow\n" + Vault + "autostart=True\nrequested_target=web"));

        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(Policy));
        await socket.SendAsync(Encoding.ASCII.GetBytes(request));
        var left = await agent.NextAsync();
        socket.Dispose();
        await left.GivenUpAsync();
    }

    [Test]
    public async Task Decisions_are_audited_and_those_with_notify_told()
    {
        await using var events = await Daemon.EventsAsync("event=policy-notify");
        await SendAsync(Policy, "source=work\nintended_target=web\nservice_and_arg=qubes.Open+x\n\n");
        var told = await events.NextAsync("policy-notify");
        Assert.That((told["source"], told["target"], told["service"], told["argument"], told["decision"]), Is.EqualTo(("work", "web", "qubes.Open", "+x", "deny")));
        var line = Daemon.Audit().Last(l => l.TryGetProperty("method", out var method) && method.GetString() == "qubes.Open");
        Assert.That((line.GetProperty("decision").GetString(), line.GetProperty("rule").GetString(), line.GetProperty("outcome").GetString()), Is.EqualTo(("deny", "20-test.policy:9", "policy")));
    }

    [TestCase("qubes.Copy gui", "work\0vault", "result=allow\n")]
    [TestCase("qubes.Copy+arg gui name dom0", "work\0web", "result=allow\n")]
    [TestCase("qubes.Open gui", "work\0web", "result=deny\n")]
    [TestCase("mgmt.vm.CurrentState gui", "work\0web", "result=allow\n")]
    [TestCase("mgmt.vm.CurrentState gui", "web\0web", "result=deny\n")]
    [TestCase("qubes.Copy gui", "work\0@dispvm:dvm", "")]
    [TestCase("qubes.Copy gui", "work\0uuid:x", "")]
    [TestCase("qubes.Copy gui", "work", "")]
    [TestCase("qubes.Copy gui", "\0vault", "")]
    [TestCase("qubes.Copy gui", "work\0", "")]
    [TestCase("qubes.Copy gui", "abcdefghijabcdefghijabcdefghijab\0vault", "")]
    public async Task EvalSimple_counts_an_ask_as_allow(string query, string body, string answer) =>
        Assert.That(await SendAsync(Simple, $"policy.EvalSimple+{query}\0{body}"), Is.EqualTo(answer));

    [TestCase("policy.EvalSimple gui\0work\0vault")]
    [TestCase("policy.EvalSimple++x gui\0work\0vault")]
    [TestCase("policy.EvalGUI+qubes.Copy gui\0work\0vault")]
    [TestCase("policy.EvalSimple+qubes.Copy\0work\0vault")]
    [TestCase("policy.EvalSimple+qubes.Copy gui")]
    [TestCase("")]
    public async Task A_malformed_evaluation_gets_no_answer(string request) => Assert.That(await SendAsync(Simple, request), Is.Empty);

    [TestCase("gui", "work", "vault", "result=allow\n")]
    [TestCase("gui", "work", "web", "")]
    [TestCase("web", "work", "vault", "")]
    public async Task EvalGUI_answers_only_who_has_the_windows_of_both(string caller, string source, string target, string answer) =>
        Assert.That(await SendAsync(Gui, $"policy.EvalGUI+qubes.Copy {caller}\0{source}\0{target}"), Is.EqualTo(answer));

    [Test]
    public async Task Only_root_and_front_ends_are_answered_and_a_front_end_is_never_dom0()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            Requirement.Missing("this test needs root");
        }
        Assert.That((int)File.GetUnixFileMode(Policy), Is.EqualTo(Convert.ToInt32("660", 8)));
        File.SetUnixFileMode(_directory, (UnixFileMode)Convert.ToInt32("755", 8));
        File.SetUnixFileMode(Policy, (UnixFileMode)Convert.ToInt32("666", 8));
        const string rest = "intended_target=vault\nservice_and_arg=qubes.Copy\n\n";
        Assert.That(await AsAsync(FrontEnd, "source=work\n" + rest), Does.StartWith("user=DEFAULT\nresult=allow\n"));
        Assert.That(await AsAsync(FrontEnd, "source=dom0\n" + rest), Is.EqualTo("result=deny"));
        Assert.That(await AsAsync(Stranger, "source=work\n" + rest), Is.Empty);
        Assert.That(await SendAsync(Policy, "source=dom0\n" + rest), Does.StartWith("user=DEFAULT\nresult=allow\n"), "builtin:1");
    }

    private static async Task<string> SendAsync(string path, string latin1, bool halfClose = true)
    {
        using var limit = new CancellationTokenSource(DaemonProcess.Deadline);
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), limit.Token);
        try
        {
            await socket.SendAsync(Encoding.Latin1.GetBytes(latin1), limit.Token);
            if (halfClose)
            {
                socket.Shutdown(SocketShutdown.Send);
            }
        }
        catch (SocketException)
        {
            // It did not want the rest.
        }
        return Encoding.Latin1.GetString(await DaemonProcess.ReadToEndAsync(socket, limit.Token));
    }

    private async Task<string> AsAsync(int uid, string request)
    {
        string[] words = [$"--reuid={uid}", $"--regid={uid}", "--clear-groups", "socat", "-t", "20", "-", "UNIX-CONNECT:" + Policy];
        using var process = Process.Start(new ProcessStartInfo("/usr/bin/setpriv", words) { RedirectStandardInput = true, RedirectStandardOutput = true, WorkingDirectory = "/" })!;
        await process.StandardInput.WriteAsync(request);
        process.StandardInput.Close();
        using var limit = new CancellationTokenSource(DaemonProcess.Deadline);
        var answer = await process.StandardOutput.ReadToEndAsync(limit.Token);
        await process.WaitForExitAsync(limit.Token);
        return answer;
    }
}
