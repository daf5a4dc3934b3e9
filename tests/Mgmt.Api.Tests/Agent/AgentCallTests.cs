using System.Text;
using System.Text.Json;
using Mgmt.Core;

namespace Mgmt.Api.Tests.Agent;

public sealed class AgentCallTests
{
    private const string Policy = "* * a vault allow target=@adminvm\n* * b vault allow target=@adminvm\n";
    private FakeVm _vm = null!;
    private Daemon _daemon = null!;
    private List<(string Command, string? Arguments)> _asked = null!;
    private Func<string, string?, string> _answer = null!;

    [SetUp]
    public async Task Open()
    {
        _asked = [];
        _answer = (_, _) => "{}";
        _vm = new FakeVm
        {
            State = AgentState.Ready,
            OnAsked = (command, arguments) =>
            {
                _asked.Add((command, arguments));
                return Task.FromResult(JsonDocument.Parse(_answer(command, arguments)).RootElement);
            },
        };
        _daemon = await Daemon.OpenAsync(backend: FakeVm.Backend(_vm).Object, policy: Policy);
        await _daemon.StartAsync("vault");
    }

    [TearDown]
    public async Task Close()
    {
        await _daemon.DisposeAsync();
        await _vm.DisposeAsync();
    }

    private Task<CallResult> AskAsync(string command, string payload = "", string source = "dom0") => _daemon.CallAsync($"mgmt.vm.agent.{command} {source} vault", payload);

    private async Task<string> OkAsync(string command, string payload = "", string source = "dom0")
    {
        var result = await AskAsync(command, payload, source);
        Assert.That(result.Error, Is.Null, command);
        return Encoding.UTF8.GetString(result.Content.Span);
    }

    private async Task<MgmtException> RefusedAsync(ErrorCode code, string command, string payload = "", string source = "dom0")
    {
        var error = (await AskAsync(command, payload, source)).Error;
        Assert.That(error?.Code, Is.EqualTo(code), error?.Message);
        return error!;
    }

    [Test]
    public void Every_command_but_those_that_keep_step_is_a_call_of_its_name()
    {
        var calls = CallGroups.ForReading().Rows.Where(row => row.Name.StartsWith("vm.agent.", StringComparison.Ordinal)).ToList();
        Assert.That(calls.Select(row => row.Name["vm.agent.".Length..]), Is.EquivalentTo(AgentCommands.All.Select(command => command.Call).Except(["Sync", "SyncDelimited"])));
        Assert.That(calls, Has.Count.EqualTo(40));
        foreach (var command in AgentCommands.All)
        {
            Assert.That(command.Call.ToLowerInvariant(), Is.EqualTo(command.Name.Replace("guest-", "", StringComparison.Ordinal).Replace("get-", "", StringComparison.Ordinal).Replace("-", "", StringComparison.Ordinal)));
            Assert.That(AgentCommands.FindAny(command.Name), Is.SameAs(command));
        }
    }

    [Test]
    public void What_makes_the_caller_master_of_a_guest_is_of_the_host_and_what_only_looks_is_read()
    {
        var calls = CallGroups.ForReading().Rows.Where(row => row.Name.StartsWith("vm.agent.", StringComparison.Ordinal)).ToList();
        string[] master = ["vm.agent.Exec", "vm.agent.FileOpen", "vm.agent.SetUserPassword", "vm.agent.SshAddAuthorizedKeys"];
        Assert.That(calls.Where(row => row.Scope == CallScope.Host).Select(row => row.Name), Is.EquivalentTo(master));
        string[] looks =
        [
            "Ping", "Info", "OsInfo", "HostName", "Time", "Timezone", "Users", "Devices", "FsInfo", "Disks", "DiskStats", "FsfreezeStatus", "NetworkInterfaces", "Vcpus", "CpuStats",
            "MemoryBlocks", "MemoryBlockInfo", "SshAuthorizedKeys",
        ];
        Assert.That(calls.Where(row => row.Access == CallAccess.Read).Select(row => row.Name), Is.EquivalentTo(looks.Select(name => "vm.agent." + name)));
    }

    [TestCase("OsInfo", "[]", ErrorCode.ProtocolError, "JSON object")]
    [TestCase("OsInfo", "{", ErrorCode.ProtocolError, "no JSON")]
    [TestCase("OsInfo", "{\"a\":1}", ErrorCode.QubesValueError, "there is no 'a'")]
    [TestCase("Exec", "{\"arg\":[]}", ErrorCode.QubesValueError, "'path' is missing")]
    [TestCase("Exec", "{\"path\":1}", ErrorCode.QubesValueError, "'path' is not text")]
    [TestCase("Exec", "{\"path\":null}", ErrorCode.QubesValueError, "'path' is not text")]
    [TestCase("Exec", "{\"path\":\"/a\",\"path\":\"/b\"}", ErrorCode.ProtocolError, "no member twice")]
    [TestCase("Exec", "{\"path\":\"/a\\u0000b\"}", ErrorCode.QubesValueError, "'path' is not text")]
    [TestCase("Exec", "{\"path\":\"\\ud800\"}", ErrorCode.ProtocolError, "no JSON")]
    [TestCase("Exec", "{\"path\":\"/a\",\"arg\":[\"x\",2]}", ErrorCode.QubesValueError, "'arg[1]' is not text")]
    [TestCase("Exec", "{\"path\":\"/a\",\"input-data\":\"*\"}", ErrorCode.QubesValueError, "'input-data' is not base64")]
    [TestCase("Exec", "{\"path\":\"/a\",\"capture-output\":\"yes\"}", ErrorCode.QubesValueError, "'capture-output' is not true or false")]
    [TestCase("Exec", "{\"path\":\"/a\",\"no\\u001bsuch\":1}", ErrorCode.QubesValueError, "there is no 'no?such'")]
    [TestCase("Fstrim", "{\"minimum\":1.5}", ErrorCode.QubesValueError, "'minimum' is not an integer")]
    [TestCase("SetVcpus", "{\"vcpus\":[{\"logical-id\":0}]}", ErrorCode.QubesValueError, "'vcpus[0].online' is missing")]
    [TestCase("SetVcpus", "{\"vcpus\":[[]]}", ErrorCode.QubesValueError, "'vcpus[0]' is not an object")]
    [TestCase("Shutdown", "{\"mode\":\"sideways\"}", ErrorCode.QubesValueError, "'mode' is not powerdown, halt or reboot")]
    [TestCase("Shutdown", "{\"mode\":1}", ErrorCode.QubesValueError, "'mode' is not")]
    [TestCase("FileRead", "{\"handle\":3}", ErrorCode.QubesValueError, "'handle' is the text that FileOpen gave")]
    [TestCase("FileRead", "{\"handle\":\"00000000000000000000000000000000\"}", ErrorCode.QubesValueError, "no such handle")]
    [TestCase("ExecStatus", "{\"pid\":\"\"}", ErrorCode.QubesValueError, "no such pid")]
    [TestCase("Exec", "[[[[[[[[[[1]]]]]]]]]]", ErrorCode.ProtocolError, "nested")]
    public async Task Arguments_that_do_not_fit_are_refused_with_what_is_wrong_and_the_guest_never_sees_them(string command, string payload, ErrorCode code, string says)
    {
        Assert.That((await RefusedAsync(code, command, payload)).Message, Does.Contain(says));
        Assert.That(_asked, Is.Empty);
    }

    [TestCase("OsInfo", "[]")]
    [TestCase("OsInfo", "{\"id\":7}")]
    [TestCase("HostName", "{}")]
    [TestCase("Time", "\"late\"")]
    [TestCase("NetworkInterfaces", "[{\"name\":\"lo\",\"ip-addresses\":[{\"ip-address\":\"::1\"}]}]")]
    [TestCase("Users", "[{\"user\":\"u\",\"login-time\":\"now\"}]")]
    public async Task An_answer_of_another_shape_is_the_agents_fault(string command, string answer)
    {
        _answer = (_, _) => answer;
        Assert.That((await RefusedAsync(ErrorCode.MgmtUnavailableError, command)).Message, Does.Contain("breaks its protocol"));
    }

    [Test]
    public async Task What_a_newer_agent_adds_is_handed_on()
    {
        _answer = (_, _) => """{"id": "x", "mood": {"today": "good"}}""";
        Assert.That(await OkAsync("OsInfo"), Is.EqualTo("""{"id":"x","mood":{"today":"good"}}"""));
        Assert.That(await OkAsync("OsInfo", "{}"), Does.Contain("mood"));
        Assert.That(_asked, Has.All.EqualTo(("guest-get-osinfo", (string?)null)));
    }

    [Test]
    public async Task A_process_is_known_by_an_id_that_is_good_for_its_caller_and_its_agent_only()
    {
        _answer = (command, _) => command == "guest-exec" ? "{\"pid\":17}" : "{\"exited\":false}";
        var pid = JsonDocument.Parse(await OkAsync("Exec", """{"path":"/bin/true"}""", "a")).RootElement.GetProperty("pid").GetString()!;
        Assert.That(pid, Does.Match("^[0-9a-f]{32}$"));
        var ask = $$"""{"pid":"{{pid}}"}""";
        Assert.That(await OkAsync("ExecStatus", ask, "a"), Is.EqualTo("""{"exited":false}"""));
        Assert.That(_asked[^1], Is.EqualTo(("guest-exec-status", (string?)"""{"pid":17}""")));
        await RefusedAsync(ErrorCode.QubesValueError, "ExecStatus", ask, "b");
        await RefusedAsync(ErrorCode.QubesValueError, "ExecStatus", ask);
        await RefusedAsync(ErrorCode.QubesValueError, "FileRead", $$"""{"handle":"{{pid}}"}""", "a");
        _answer = (_, _) => "{\"exited\":true,\"exitcode\":0}";
        await OkAsync("ExecStatus", ask, "a");
        await RefusedAsync(ErrorCode.QubesValueError, "ExecStatus", ask, "a");
    }

    [Test]
    public async Task A_file_is_gone_when_it_is_closed_and_when_the_agent_starts_anew()
    {
        _answer = (command, _) => command == "guest-file-open" ? "1000" : "{}";
        var file = await OkAsync("FileOpen", """{"path":"/etc/passwd"}""");
        Assert.That(file, Does.Match("^\"[0-9a-f]{32}\"$"));
        await OkAsync("FileFlush", $$"""{"handle":{{file}}}""");
        Assert.That(_asked[^1].Arguments, Is.EqualTo("""{"handle":1000}"""));
        await OkAsync("FileClose", $$"""{"handle":{{file}}}""");
        await RefusedAsync(ErrorCode.QubesValueError, "FileFlush", $$"""{"handle":{{file}}}""");
        // The guest gives the number out again: that is another file.
        var next = await OkAsync("FileOpen", """{"path":"/etc/shadow"}""");
        Assert.That(next, Is.Not.EqualTo(file));
        _vm.Session++;
        Assert.That((await RefusedAsync(ErrorCode.QubesValueError, "FileFlush", $$"""{"handle":{{next}}}""")).Message, Does.Contain("started anew"));
    }

    [Test]
    public async Task What_a_caller_holds_is_bounded_and_an_open_that_fails_holds_nothing()
    {
        _answer = (_, _) => throw new MgmtException(ErrorCode.QubesException, "no");
        for (var i = 0; i < AgentHandles.MaxOfCaller + 1; i++)
        {
            await RefusedAsync(ErrorCode.QubesException, "FileOpen", """{"path":"/x"}""", "a");
        }
        _answer = (_, _) => "1";
        for (var i = 0; i < AgentHandles.MaxOfCaller; i++)
        {
            await OkAsync("FileOpen", """{"path":"/x"}""", "a");
        }
        await RefusedAsync(ErrorCode.MgmtBusyError, "FileOpen", """{"path":"/x"}""", "a");
        await OkAsync("FileOpen", """{"path":"/x"}""", "b");
        _vm.Session++;
        await OkAsync("FileOpen", """{"path":"/x"}""", "a");
    }

    [Test]
    public async Task A_read_is_bounded()
    {
        _answer = (_, _) => "5";
        var file = await OkAsync("FileOpen", """{"path":"/x"}""");
        Assert.That((await RefusedAsync(ErrorCode.QubesValueError, "FileRead", $$"""{"handle":{{file}},"count":4194305}""")).Message, Does.Contain("'count'"));
        _answer = (_, _) => """{"count":0,"buf-b64":"","eof":true}""";
        Assert.That(await OkAsync("FileRead", $$"""{"handle":{{file}},"count":4194304}"""), Does.Contain("eof"));
    }

    [Test]
    public async Task A_command_that_does_not_answer_gives_an_empty_object()
    {
        Assert.That(await OkAsync("Shutdown", """{"mode":"reboot"}"""), Is.EqualTo("{}"));
        Assert.That(_asked.Single(), Is.EqualTo(("guest-shutdown", (string?)"""{"mode":"reboot"}""")));
    }

    [Test]
    public async Task A_guest_that_does_not_know_a_command_is_one_clear_error()
    {
        _answer = (_, _) => throw new MgmtException(ErrorCode.MgmtUnsupportedError, "the guest agent does not offer %s: %s", "guest-get-devices", "no");
        await RefusedAsync(ErrorCode.MgmtUnsupportedError, "Devices");
    }

    [Test]
    public async Task Of_a_vm_that_does_not_run_nothing_is_asked()
    {
        await _daemon.Stopper.PauseAsync(Daemon.Name("vault"), CancellationToken.None);
        await RefusedAsync(ErrorCode.QubesVMNotRunningError, "OsInfo");
        await _daemon.KillAsync("vault");
        await RefusedAsync(ErrorCode.QubesVMNotStartedError, "OsInfo");
        Assert.That(_asked, Is.Empty);
    }
}
