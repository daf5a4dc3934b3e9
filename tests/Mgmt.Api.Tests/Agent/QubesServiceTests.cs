using System.Text;
using System.Text.Json;
using Mgmt.Core;

namespace Mgmt.Api.Tests.Agent;

public sealed class QubesServiceTests
{
    private const string Policy = """
        qubes.VMExec +ls a vault allow
        qubes.VMExec * b vault allow target=dom0
        qubes.VMShell * b vault allow target=vault
        qubes.VMShell * c vault allow target=work
        mgmt.* * d vault allow target=dom0
        """;

    private FakeVm _vm = null!;
    private Daemon _daemon = null!;
    private List<JsonElement> _programs = null!;
    private string _end = null!;

    [SetUp]
    public async Task Open()
    {
        _programs = [];
        _end = "{\"exited\":true,\"exitcode\":0,\"out-data\":\"aGk=\"}";
        _vm = new FakeVm { State = AgentState.Ready, OnAsked = (command, arguments) => Task.FromResult(Answer(command, arguments)) };
        _daemon = await Daemon.OpenAsync(backend: FakeVm.Backend(_vm).Object, policy: Policy.Replace("mgmt.* ", "* ", StringComparison.Ordinal));
        await _daemon.StartAsync("vault");
    }

    [TearDown]
    public async Task Close()
    {
        await _daemon.DisposeAsync();
        await _vm.DisposeAsync();
    }

    private JsonElement Answer(string command, string? arguments)
    {
        if (command == "guest-exec")
        {
            _programs.Add(JsonDocument.Parse(arguments!).RootElement);
            return JsonDocument.Parse("{\"pid\":7}").RootElement;
        }
        return JsonDocument.Parse(_end).RootElement;
    }

    private string[] Words => [_programs[^1].GetProperty("path").GetString()!, .. _programs[^1].GetProperty("arg").EnumerateArray().Select(word => word.GetString()!)];

    [Test]
    public async Task A_program_runs_as_the_default_user_with_its_arguments_decoded()
    {
        Assert.That(await _daemon.TextAsync("qubes.VMExec+ls+--l+-2Ftmp-2Fa-20b+ dom0 vault", "typed"), Is.EqualTo("hi"));
        Assert.That(Words, Is.EqualTo(new[] { "/bin/su", "-s", "/bin/sh", "-c", "exec \"$@\"", "--", "user", "sh", "ls", "-l", "/tmp/a b", "" }));
        Assert.That(_programs[^1].GetProperty("input-data").GetBytesFromBase64(), Is.EqualTo("typed"u8.ToArray()));
        await _daemon.SetAsync("vault", "default_user", "root");
        await _daemon.TextAsync("qubes.VMExec+id dom0 vault");
        Assert.That(Words, Is.EqualTo(new[] { "/bin/sh", "-c", "exec \"$@\"", "sh", "id" }));
    }

    [Test]
    public async Task A_shell_reads_the_payload_and_an_application_is_given_by_name()
    {
        await _daemon.TextAsync("qubes.VMShell dom0 vault", "uname -r\n");
        Assert.That(Encoding.ASCII.GetString(_programs[^1].GetProperty("input-data").GetBytesFromBase64()), Is.EqualTo("uname -r\n"));
        Assert.That(await _daemon.TextAsync("qubes.StartApp+org.gnome.Terminal dom0 vault"), Is.Empty);
        Assert.That(Words[^1], Is.EqualTo("org.gnome.Terminal"));
    }

    [TestCase("ls+-2")]
    [TestCase("-")]
    [TestCase("-2f")]
    [TestCase("-00")]
    [TestCase("-FF")]
    [TestCase("a-b")]
    public async Task What_is_no_encoding_is_refused(string argument)
    {
        Assert.That(await _daemon.RefusalAsync($"qubes.VMExec+{argument} dom0 vault"), Is.EqualTo(ErrorCode.QubesValueError));
        Assert.That(_programs, Is.Empty);
    }

    [TestCase("{\"exited\":true,\"exitcode\":3,\"err-data\":\"bm8bWzJKIQo=\"}", "status 3: no [2J!")]
    [TestCase("{\"exited\":true,\"signal\":9}", "signal 9")]
    public async Task A_program_that_fails_is_an_error_in_its_words(string end, string says)
    {
        _end = end;
        var error = (await _daemon.CallAsync("qubes.VMExec+false dom0 vault")).Error!;
        Assert.That((error.Code, error.Message.Contains(says, StringComparison.Ordinal)), Is.EqualTo((ErrorCode.QubesException, true)), error.Message);
    }

    [TestCase("qubes.VMExec+ls a vault", true)]
    [TestCase("qubes.VMExec+id a vault", false)]
    [TestCase("qubes.VMShell b vault", true)]
    [TestCase("qubes.VMExec+ls b vault", false)]
    [TestCase("qubes.VMShell c vault", false)]
    [TestCase("qubes.VMExec+ls d vault", false)]
    [TestCase("mgmt.vm.agent.OsInfo d vault", true)]
    public async Task Policy_knows_them_by_their_own_names_and_a_redirect_is_no_permission(string header, bool isAllowed)
    {
        _end = header.StartsWith("mgmt", StringComparison.Ordinal) ? "{}" : _end;
        var result = await _daemon.CallAsync(header, header.Contains("VMShell", StringComparison.Ordinal) ? "id" : "");
        Assert.That(result.Error?.Code, isAllowed ? Is.Null : Is.EqualTo(ErrorCode.PermissionDenied), result.Error?.Message);
    }

    [TestCase("mgmt.qubes.VMExec+ls")]
    [TestCase("admin.qubes.VMExec+ls")]
    [TestCase("qubes.Filecopy")]
    [TestCase("vm.Start")]
    public async Task They_have_no_other_name_and_there_are_no_others(string method) =>
        Assert.That(await _daemon.RefusalAsync(method + " dom0 vault"), Is.EqualTo(ErrorCode.ProtocolError));
}
