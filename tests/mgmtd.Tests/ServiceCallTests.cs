using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>Services of the host: real programs and sockets, a real daemon, a scripted agent that calls them.</summary>
public sealed class ServiceCallTests
{
    private const string Rules = """
        test.Secret * work @anyvm deny notify=no
        test.Redirected * work @default allow target=dom0
        test.Dispvm * work @anyvm allow target=@dispvm:debian-12-minimal
        test.Vault * work vault allow
        * * work @adminvm allow

        """;

    private readonly string _directory = Directory.CreateTempSubdirectory("svc-").FullName;
    private DaemonProcess? _daemon;
    private ScriptedAgent _agent = null!;
    private uint _port = 512;

    private DaemonProcess Daemon => _daemon!;

    private string Programs => Path.Combine(_directory, "rpc");

    [SetUp]
    public async Task Start()
    {
        foreach (var name in new[] { "vchan", "rpc", "rpc2", "config" })
        {
            Directory.CreateDirectory(Path.Combine(_directory, name));
        }
        _port = 512;
        _daemon = await DaemonProcess.StartAsync(new()
        {
            Config = $$"""
                { "vchan-dir": "{{_directory}}/vchan", "service-dirs": ["{{_directory}}/rpc2", "{{_directory}}/rpc"], "service-config-dirs": ["{{_directory}}/config"],
                  "service-user": "root", "service-errors": "caller", "service-calls": 2, "service-calls-per-vm": 3 }
                """,
            Policy = new Dictionary<string, string> { ["10-guest.policy"] = Rules },
        });
        await Daemon.OkAsync("mgmt.vm.Start", "work");
        _agent = await ScriptedAgent.StartAsync(Daemon, Path.Combine(_directory, "vchan"), "work");
    }

    [TearDown]
    public async Task Stop()
    {
        _agent?.Dispose();
        if (_daemon is not null)
        {
            await _daemon.DisposeAsync();
        }
        Directory.Delete(_directory, recursive: true);
    }

    [Test]
    public async Task A_program_has_its_streams_its_exit_code_and_who_calls()
    {
        Write("test.Echo", "echo \"$# $1|$QREXEC_REMOTE_DOMAIN|$QREXEC_SERVICE_FULL_NAME|$QREXEC_SERVICE_ARGUMENT|$QREXEC_REQUESTED_TARGET_TYPE|$QREXEC_REQUESTED_TARGET_KEYWORD|$(pwd)\"; cat; echo oops >&2; exit 7");
        Assert.That(await CallAsync("test.Echo+an-arg", "in"), Is.EqualTo((7, "1 an-arg|work|test.Echo+an-arg|an-arg|keyword|adminvm|/\nin", "oops\n")));
        Assert.That((await CallAsync("test.Echo", "")).Output, Is.EqualTo("0 |work|test.Echo+||keyword|adminvm|/\n"));
        var lines = Daemon.Audit("test.Echo");
        Assert.That(lines.Select(line => line.GetProperty("outcome").GetString()), Is.EqualTo(new[] { "stream", "exit 7", "stream", "exit 7" }));
        Assert.That((lines[0].GetProperty("via").GetString(), lines[0].GetProperty("source").GetString(), lines[0].GetProperty("target").GetString()), Is.EqualTo(("vchan-socket", "work", "dom0")));
        Assert.That(lines[0].GetProperty("rule").GetString(), Does.EndWith("10-guest.policy:5"));
    }

    [Test]
    public async Task The_argument_comes_before_the_directory_and_nothing_is_a_path()
    {
        Write("test.One+a", "echo with argument");
        Write("../rpc2/test.One", "echo without");
        Assert.That((await CallAsync("test.One+a", "")).Output, Is.EqualTo("with argument\n"));
        Assert.That((await CallAsync("test.One+b", "")).Output, Is.EqualTo("without\n"));
        Assert.That((await CallAsync("test.Absent+a", "")).Code, Is.EqualTo(127));
        Assert.That((await CallAsync("..", "")).Code, Is.EqualTo(127));
        File.CreateSymbolicLink(Path.Combine(Programs, "test.Broken"), "/nowhere");
        File.WriteAllText(Path.Combine(Programs, "test.NoProgram"), "");
        foreach (var service in new[] { "test.Broken", "test.NoProgram" })
        {
            Assert.That(await _agent.CallAsync("dom0", service, 513), Is.Null, service);
        }
    }

    [Test]
    public async Task What_the_policy_denies_or_does_not_know_is_refused()
    {
        Write("test.Secret", "echo secret");
        Write("test.Redirected", "echo \"$QREXEC_REQUESTED_TARGET_KEYWORD\"");
        Assert.That(await _agent.CallAsync("dom0", "test.Secret", 513), Is.Not.Null, "@anyvm is not dom0");
        Assert.That(await _agent.CallAsync("vault", "test.Secret", 514), Is.Null);
        Assert.That(await _agent.CallAsync("vault", "test.Other", 514), Is.Null);
        var line = Daemon.Audit("test.Other").Single();
        Assert.That((line.GetProperty("decision").GetString(), line.GetProperty("outcome").GetString()), Is.EqualTo(("deny", "PermissionDenied")));
        Assert.That((await (await _agent.CallAsync("@default", "test.Redirected", 514))!.EndAsync()).Output, Is.EqualTo("default\n"));
    }

    [Test]
    public async Task A_service_in_a_vm_with_an_agent_of_qubes_has_its_streams_and_its_exit_code()
    {
        await Daemon.OkAsync("mgmt.vm.property.Set", "vault", "default_user", "keeper");
        // The target is started for the call, and its agent waited for.
        var starting = ScriptedAgent.StartAsync(Daemon, Path.Combine(_directory, "vchan"), "vault");
        var calling = _agent.CallAsync("vault", "test.Vault+an-arg", 513);
        using var vault = await starting;
        var asked = await vault.AskedAsync();
        Assert.That(asked.Text, Is.EqualTo("keeper:QUBESRPC test.Vault+an-arg work\0"));
        var call = (await calling)!;
        var input = new string('i', 20_000);
        await call.SayAsync(input);
        await call.SayAsync("");
        Assert.That(await asked.InputAsync(), Is.EqualTo(input));
        await asked.EndAsync("out", "oops", 9);
        Assert.That(await call.EndedAsync(), Is.EqualTo((9, "out", "oops")));
        Assert.That(await Daemon.StateAsync("vault"), Is.EqualTo("Running"));
        var lines = Daemon.Audit("test.Vault");
        Assert.That(lines.Select(line => (line.GetProperty("target").GetString(), line.GetProperty("outcome").GetString())), Is.EqualTo(new[] { ("vault", "stream"), ("vault", "exit 9") }));
    }

    [Test]
    public async Task A_caller_that_goes_ends_its_service_and_an_agent_that_goes_breaks_it_off()
    {
        var calling = _agent.CallAsync("vault", "test.Vault", 513);
        using var vault = await ScriptedAgent.StartAsync(Daemon, Path.Combine(_directory, "vchan"), "vault");
        var asked = await vault.AskedAsync();
        (await calling)!.Close();
        await asked.GoneAsync();
        calling = _agent.CallAsync("vault", "test.Vault", 514);
        asked = await vault.AskedAsync();
        var call = (await calling)!;
        await asked.CloseAsync();
        Assert.That(await call.EndedAsync(), Is.EqualTo((125, "", "")));
    }

    [Test]
    public async Task A_target_whose_agent_does_not_come_is_waited_for_until_the_call_is_cancelled()
    {
        var calling = _agent.CallAsync("vault", "test.Vault", 513);
        string? line = null;
        await TestUntil.TrueAsync(async () => (line = (await Daemon.OkAsync("mgmt.call.List")).Split('\n').FirstOrDefault(call => call.Contains("method=test.Vault source=work target=vault", StringComparison.Ordinal))) is not null);
        await Daemon.OkAsync("mgmt.call.Cancel", "dom0", line!.Split(' ')[0]);
        Assert.That(await calling, Is.Null);
        Assert.That(Daemon.Audit("test.Vault").Single().GetProperty("outcome").GetString(), Is.EqualTo("MgmtCancelledError"));
    }

    [Test]
    public async Task A_socket_gets_the_header_unless_it_is_told_not_to()
    {
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(Path.Combine(_directory, "s")));
        listener.Listen(4);
        File.CreateSymbolicLink(Path.Combine(Programs, "test.Socket"), Path.Combine(_directory, "s"));
        File.CreateSymbolicLink(Path.Combine(Programs, "test.Bare"), Path.Combine(_directory, "s"));
        File.WriteAllText(Path.Combine(_directory, "config", "test.Bare"), "# no header\nskip-service-descriptor = true # really\n");
        Assert.That(await SocketCallAsync(listener, "test.Socket+x"), Is.EqualTo((0, "got test.Socket+x work keyword adminvm\0in", "")));
        Assert.That(await SocketCallAsync(listener, "test.Bare+x"), Is.EqualTo((0, "got in", "")));
    }

    [TestCase("skip-service-descriptor=yes")]
    [TestCase("exit-on-client-eof=true\nexit-on-client-eof=true")]
    [TestCase("colour='red'")]
    [TestCase("force-user='no-such-user'")]
    public async Task A_bad_configuration_is_a_refusal(string text)
    {
        Write("test.Echo", "echo never");
        File.WriteAllText(Path.Combine(_directory, "config", "test.Echo"), text);
        Assert.That(await _agent.CallAsync("dom0", "test.Echo", 513), Is.Null);
    }

    [Test]
    public async Task A_program_runs_as_its_user()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            Requirement.Missing("another user needs root");
        }
        Write("test.Who", "echo \"$(id -un) $(id -gn) $HOME\"");
        File.WriteAllText(Path.Combine(_directory, "config", "test.Who"), "force-user='daemon'");
        File.SetUnixFileMode(_directory, File.GetUnixFileMode(_directory) | UnixFileMode.OtherExecute | UnixFileMode.GroupExecute);
        Assert.That((await CallAsync("test.Who", "")).Output, Is.EqualTo("daemon daemon /usr/sbin\n"));
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task A_caller_that_goes_and_a_cancellation_end_the_program_and_its_children(bool callerGoes)
    {
        var call = (await _agent.CallAsync("dom0", Sleeper(), 513))!;
        var pids = (await call.HearAsync()).Trim().Split(' ').Select(word => int.Parse(word, CultureInfo.InvariantCulture)).ToArray();
        if (callerGoes)
        {
            call.Close();
        }
        else
        {
            var id = (await Daemon.OkAsync("mgmt.call.List")).Split('\n').Single(line => line.Contains("method=test.Sleep source=work target=dom0", StringComparison.Ordinal) && line.EndsWith("via=vchan-socket", StringComparison.Ordinal)).Split(' ')[0];
            await Daemon.OkAsync("mgmt.call.Cancel", "dom0", id);
            Assert.That((await call.EndedAsync()).Code, Is.EqualTo(125));
        }
        foreach (var pid in pids)
        {
            await TestSignal.GoneAsync(pid);
        }
    }

    [Test]
    public async Task One_service_and_one_vm_have_so_many_calls_at_once()
    {
        var (sleep, other) = (Sleeper(), Write("test.Echo", "cat"));
        var first = await _agent.CallAsync("dom0", sleep, 513);
        Assert.That(await _agent.CallAsync("dom0", sleep, 514), Is.Not.Null);
        Assert.That(await _agent.CallAsync("dom0", sleep, 515), Is.Null, "the third of one service");
        var third = await _agent.CallAsync("dom0", other, 515);
        Assert.That(await _agent.CallAsync("dom0", "test.Fourth", 516), Is.Null, "the fourth of one VM");
        Assert.That(Daemon.Audit("test.Fourth").Single().GetProperty("outcome").GetString(), Is.EqualTo("MgmtBusyError"));
        Assert.That((await third!.EndAsync()).Code, Is.Zero);
        Assert.That(first, Is.Not.Null);
    }

    private async Task<(int Code, string Output, string Errors)> CallAsync(string service, string input)
    {
        var call = await _agent.CallAsync("dom0", service, ++_port);
        if (input.Length > 0)
        {
            await call!.SayAsync(input);
        }
        return await call!.EndAsync();
    }

    private async Task<(int Code, string Output, string Errors)> SocketCallAsync(Socket listener, string service)
    {
        var answering = Task.Run(async () =>
        {
            using var limit = new CancellationTokenSource(DaemonProcess.Deadline);
            using var peer = new NetworkStream(await listener.AcceptAsync(limit.Token), ownsSocket: true);
            using var all = new MemoryStream();
            await peer.CopyToAsync(all, limit.Token);
            await peer.WriteAsync((byte[])[.. "got "u8, .. all.ToArray()], limit.Token);
        });
        var result = await CallAsync(service, "in");
        await answering;
        return result;
    }

    /// <summary>A service that does not end by itself, nor when it is asked to, and has a child.</summary>
    private string Sleeper() => Write("test.Sleep", "trap '' TERM; sleep 1000 & echo $$ $!; wait; wait; sleep 1000");

    private string Write(string name, string script)
    {
        var path = Path.Combine(Programs, name);
        File.WriteAllText(path, "#!/bin/sh\n" + script + "\n", Encoding.ASCII);
        File.SetUnixFileMode(path, (UnixFileMode)0b111_101_101);
        return name;
    }
}
