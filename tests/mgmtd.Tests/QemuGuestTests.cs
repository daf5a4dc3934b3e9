using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.Json;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>The real daemon, the real agent in the real guest, and mgmtctl in front of them. One boot serves them all.</summary>
[NonParallelizable]
internal sealed class QemuGuestTests
{
    private const string Vm = "guest";
    private QemuDaemon _qemu = null!;

    private DaemonProcess Daemon => _qemu.Process;

    [OneTimeSetUp]
    public async Task Boot()
    {
        _qemu = await QemuDaemon.StartAsync();
        await _qemu.MakeVmAsync(Vm);
        await _qemu.ReadyAsync(Vm);
    }

    [OneTimeTearDown]
    public async Task End()
    {
        if (_qemu is not null)
        {
            await _qemu.DisposeAsync();
        }
    }

    private Task<string> AgentAsync(string command, string payload = "") => Daemon.OkAsync("mgmt.vm.agent." + command, Vm, payload: payload);

    [Test]
    public async Task Policy_lets_a_vm_read_a_guests_system_and_not_run_programs_in_it()
    {
        await File.WriteAllTextAsync(Path.Combine(Daemon.PolicyDirectory, "30-agent.policy"), $"mgmt.vm.agent.OsInfo * {Vm} {Vm} allow target=dom0\n");
        await TestUntil.TrueAsync(async () => (await Daemon.CallAsync("mgmt.vm.agent.OsInfo", Vm, source: Vm)) is Wire.Reply.Ok);
        Assert.That(await Daemon.OkAsync("mgmt.vm.agent.OsInfo", Vm, source: Vm), Does.Contain("\"id\":\"mgmt-demo\""));
        await Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.vm.agent.Exec", Vm, payload: """{"path":"/bin/true"}""", source: Vm);
        await Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.vm.agent.FileOpen", Vm, payload: """{"path":"/etc/passwd"}""", source: Vm);
    }

    [Test]
    public async Task Facts_come_by_themselves_and_after_a_pause_the_clock_is_set()
    {
        await TestUntil.TrueAsync(async () => (await FactsAsync()).TryGetProperty("timezone", out _));
        var facts = await FactsAsync();
        Assert.That(facts.GetProperty("os").GetProperty("value").GetProperty("id").GetString(), Is.EqualTo("mgmt-demo"));
        Assert.That(facts.GetProperty("interfaces").GetProperty("value")[0].GetProperty("name").GetString(), Is.EqualTo("lo"));
        // As if it had stood still for years: one that is wrong without a pause is its own affair.
        await AgentAsync("SetTime", """{"time":1000000000000000000}""");
        await Daemon.OkAsync("mgmt.vm.Pause", Vm);
        await Daemon.OkAsync("mgmt.vm.Unpause", Vm);
        await TestUntil.TrueAsync(async () => (DateTimeOffset.UtcNow - await GuestTimeAsync()).Duration() < TimeSpan.FromMinutes(1));
        await TestUntil.TrueAsync(async () => Math.Abs((await FactsAsync()).GetProperty("time-drift-ms").GetProperty("value").GetInt64()) < 60_000);
    }

    [Test]
    public async Task A_guest_is_frozen_by_call_and_thawed()
    {
        Assert.That(await AgentAsync("FsfreezeFreeze"), Is.EqualTo("1").Or.EqualTo("2"));
        Assert.That(await AgentAsync("FsfreezeStatus"), Is.EqualTo("\"frozen\""));
        Assert.That(await AgentAsync("FsfreezeThaw"), Is.EqualTo("1").Or.EqualTo("2"));
        Assert.That(await AgentAsync("FsfreezeStatus"), Is.EqualTo("\"thawed\""));
    }

    [TestCase("", 0, "Linux\n", "run", Vm, "uname")]
    [TestCase("", 7, "", "run", Vm, "--shell", "exit 7")]
    [TestCase("", 137, "", "run", Vm, "--shell", "kill -9 $$")]
    [TestCase("typed", 0, "typed", "run", Vm, "cat")]
    [TestCase("", 125, "", "run", Vm, "/no/such")]
    [TestCase("", 7, "out\n", "run", "--captured", Vm, "--shell", "echo out; exit 7")]
    [TestCase("", 0, "b c,\n", "run", "--env", "A=b c", "--shell", Vm, "echo \"$A,$HOME\"")]
    [TestCase("", 0, "1 2\n", "run", "--shell", Vm, "echo 1 '2'")]
    [TestCase("", 0, "user\n", "call", "qubes.VMExec+id+--un", Vm)]
    [TestCase("", 0, "user-5\n", "call", "qubes.VMShell", Vm, "--payload", "echo $USER-$((2+3))")]
    public async Task Programs_run_and_end_as_they_do(string input, int status, string output, params string[] line)
    {
        var (code, printed, errors) = await CtlAsync(input, line);
        Assert.That((code, printed), Is.EqualTo((status, output)), errors);
    }

    [Test]
    public async Task Output_is_seen_while_the_program_runs_and_none_is_lost_at_its_end()
    {
        const string Program = "echo first; echo oops >&2; while [ ! -e /run/goon ]; do sleep 0.1; done; head -c 3000000 /dev/zero; printf last";
        using var process = StartCtl("run", "--no-stdin", "--shell", Vm, Program);
        Assert.That(await process.StandardOutput.ReadLineAsync().WaitAsync(QemuDaemon.BootDeadline), Is.EqualTo("first"));
        Assert.That(await process.StandardError.ReadLineAsync().WaitAsync(QemuDaemon.BootDeadline), Is.EqualTo("oops"));
        Assert.That((await CtlAsync("", "run", Vm, "--shell", "ls /tmp /run | grep mgmt-run; touch /run/goon")).Output, Is.Empty, "the files have no names any more");
        var rest = await process.StandardOutput.ReadToEndAsync().WaitAsync(QemuDaemon.BootDeadline);
        await process.WaitForExitAsync().WaitAsync(QemuDaemon.BootDeadline);
        Assert.That((process.ExitCode, rest.Length, rest[^5..]), Is.EqualTo((0, 3_000_004, "\0last")));
    }

    [Test]
    public async Task Ctrl_C_ends_the_program_in_the_guest()
    {
        using var process = StartCtl("run", "--no-stdin", "--shell", Vm, "echo $$; exec sleep 987");
        var pid = await process.StandardOutput.ReadLineAsync().WaitAsync(QemuDaemon.BootDeadline);
        TestSignal.Send(process.Id, 2);
        await process.WaitForExitAsync().WaitAsync(QemuDaemon.BootDeadline);
        Assert.That((process.ExitCode, await process.StandardError.ReadToEndAsync()), Is.EqualTo((130, "mgmtctl: the program was ended\n")));
        await TestUntil.TrueAsync(async () => (await CtlAsync("", "run", Vm, "--shell", $"kill -0 {pid}")).Code == 1);
    }

    [Test]
    public async Task A_file_goes_in_and_comes_out_as_it_was()
    {
        var directory = Directory.CreateTempSubdirectory("mgmt-cp-");
        try
        {
            var (there, back) = (Path.Combine(directory.FullName, "there"), Path.Combine(directory.FullName, "back"));
            await File.WriteAllBytesAsync(there, RandomNumberGenerator.GetBytes(3_000_001));
            File.SetUnixFileMode(there, (UnixFileMode)Convert.ToInt32("750", 8));
            Assert.That(await CtlAsync("", "cp", there, $"{Vm}:/tmp"), Is.EqualTo((0, "", "")));
            Assert.That(await CtlAsync("", "cp", $"{Vm}:/tmp/there", back), Is.EqualTo((0, "", "")));
            Assert.That(File.ReadAllBytes(back).AsSpan().SequenceEqual(File.ReadAllBytes(there)));
            Assert.That(File.GetUnixFileMode(back), Is.EqualTo((UnixFileMode)Convert.ToInt32("750", 8)));
            Assert.That((await CtlAsync("", "run", Vm, "--shell", "ls /tmp; ls -d /tmp.part*")).Output, Is.EqualTo("there\n"));
            var (code, _, errors) = await CtlAsync("", "cp", there, $"{Vm}:/no/such/place");
            Assert.That((code, errors), Is.EqualTo((1, errors)));
            Assert.That(errors, Does.Contain("No such file or directory"));
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    [Test]
    public async Task An_application_is_started_by_its_desktop_file()
    {
        const string Make = """
            mkdir -p /usr/share/applications; printf '[Desktop Entry]\nName=x\nExec=sh -c "echo started 100%%%% >/run/started.%s" %%U\n[Desktop Action new]\nExec=false\n' app >/usr/share/applications/my.app.desktop
            touch /run/started.app; chown user /run/started.app
            """;
        Assert.That((await CtlAsync("", "run", Vm, "--shell", Make)).Code, Is.Zero);
        await Daemon.OkAsync("qubes.StartApp", Vm, "my.app");
        await TestUntil.TrueAsync(async () => (await CtlAsync("", "run", Vm, "cat", "/run/started.app")).Output == "started 100%\n");
        await Daemon.RefusedAsync(ErrorCode.QubesException, "qubes.StartApp", Vm, "none");
    }

    private async Task<DateTimeOffset> GuestTimeAsync() =>
        DateTimeOffset.FromUnixTimeMilliseconds(long.Parse(await AgentAsync("Time"), System.Globalization.CultureInfo.InvariantCulture) / 1_000_000);

    private async Task<JsonElement> FactsAsync() => JsonDocument.Parse(await Daemon.OkAsync("mgmt.vm.GuestFacts", Vm)).RootElement.GetProperty("facts");

    private async Task<(int Code, string Output, string Errors)> CtlAsync(string input, params string[] line)
    {
        using var process = StartCtl(line);
        await process.StandardInput.WriteAsync(input);
        process.StandardInput.Close();
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync().WaitAsync(QemuDaemon.BootDeadline);
        return (process.ExitCode, await output, await errors);
    }

    private Process StartCtl(params string[] line)
    {
        var program = Environment.GetEnvironmentVariable("MGMTCTL_BINARY") ?? Path.Combine(Repository.Root, "out", "bin", "mgmtctl");
        if (!File.Exists(program))
        {
            Requirement.Missing("out/bin/mgmtctl is missing: make build");
        }
        return Process.Start(new ProcessStartInfo(program, line)
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, Environment = { ["MGMT_SOCKET"] = Daemon.SocketPath },
        })!;
    }
}
