using System.Net.Sockets;
using System.Text;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>The settings of services, each with a real daemon, a real program or socket of the host, and a scripted agent that calls it.</summary>
public sealed class ServiceOptionTests
{
    private const string Rules = """
        test.Relayed * far @adminvm allow
        test.Relayed * work @anyvm deny
        test.Relayed * work @adminvm deny
        * * work @adminvm allow

        """;

    private readonly List<IDisposable> _open = [];
    private string _directory = "";
    private DaemonProcess? _daemon;
    private ScriptedAgent _agent = null!;

    private DaemonProcess Daemon => _daemon!;

    [SetUp]
    public void Make()
    {
        _directory = Directory.CreateTempSubdirectory("opt-").FullName;
        foreach (var name in new[] { "vchan", "rpc", "config" })
        {
            Directory.CreateDirectory(Path.Combine(_directory, name));
        }
    }

    [TearDown]
    public async Task Stop()
    {
        _open.ForEach(open => open.Dispose());
        _open.Clear();
        if (_daemon is not null)
        {
            await _daemon.DisposeAsync();
            _daemon = null;
        }
        Directory.Delete(_directory, recursive: true);
    }

    [Test]
    public async Task A_program_runs_as_nobody_unless_something_else_is_said()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            Requirement.Missing("another user needs root");
        }
        await StartAsync("");
        // Programs of the host are found by others than root.
        File.SetUnixFileMode(_directory, File.GetUnixFileMode(_directory) | UnixFileMode.OtherExecute);
        Write("test.Who", "echo \"$(id -un) $(id -u) $(id -G)\"");
        var nobody = RunCommand("id", "-u", "nobody").Trim();
        Assert.That((await CallAsync("test.Who")).Output, Is.EqualTo($"nobody {nobody} {RunCommand("id", "-G", "nobody").Trim()}\n"));
    }

    [TestCase("log", "")]
    [TestCase("caller", "it is in /secret/place\n")]
    public async Task Error_output_goes_where_the_setting_says(string setting, string errors)
    {
        await StartAsync($"\"service-user\": \"{Environment.UserName}\", \"service-errors\": \"{setting}\"");
        Write("test.Fails", "echo it is in /secret/place >&2; echo out; exit 3");
        Assert.That(await CallAsync("test.Fails"), Is.EqualTo((3, "out\n", errors)));
        Assert.That(Daemon.Log.Contains("test.Fails: it is in /secret/place", StringComparison.Ordinal), Is.EqualTo(setting == "log"));
    }

    [TestCase("while :; do echo more; done", true)]
    [TestCase("exec sleep 1000", false)]
    public async Task What_a_program_leaves_behind_holds_up_its_exit_code_only_for_a_while(string left, bool writes)
    {
        await StartAsync($"\"service-user\": \"{Environment.UserName}\"");
        Write("test.Leaves", $"sh -c 'echo $$; {left}' & exit 4");
        var call = (await _agent.CallAsync("dom0", "test.Leaves", 513))!;
        var (code, output, _) = await call.EndedAsync();
        var pid = output.Split('\n')[0];
        try
        {
            Assert.That((code, output.Contains("\nmore\nmore\n", StringComparison.Ordinal)), Is.EqualTo((4, writes)));
        }
        finally
        {
            if (!writes)
            {
                RunCommand("kill", pid);
            }
        }
        // Nobody reads what it writes any more, and SIGPIPE ends it, as in any pipe.
        await TestSignal.GoneAsync(int.Parse(pid, System.Globalization.CultureInfo.InvariantCulture));
        Assert.That(Daemon.Audit("test.Leaves").Select(line => line.GetProperty("outcome").GetString()), Is.EqualTo(new[] { "stream", "exit 4" }));
    }

    [Test]
    public async Task A_call_that_outlasts_the_deadline_ends_with_its_program()
    {
        await StartAsync($"\"service-user\": \"{Environment.UserName}\", \"service-deadline-s\": 1");
        Write("test.Slow", "echo $$; sleep 1000");
        var call = (await _agent.CallAsync("dom0", "test.Slow", 513))!;
        var (code, output, _) = await call.EndedAsync();
        Assert.That(code, Is.EqualTo(125));
        await TestSignal.GoneAsync(int.Parse(output, System.Globalization.CultureInfo.InvariantCulture));
        Assert.That(Daemon.Audit("test.Slow").Select(line => line.GetProperty("outcome").GetString()), Is.EqualTo(new[] { "stream", "MgmtTimeoutError" }));
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task A_socket_whose_caller_has_said_all_is_over_only_where_it_is_said_so(bool isSaid)
    {
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(Path.Combine(_directory, "s")));
        listener.Listen(1);
        await StartAsync("");
        File.CreateSymbolicLink(Path.Combine(_directory, "rpc", "test.Stays"), Path.Combine(_directory, "s"));
        await File.WriteAllTextAsync(Path.Combine(_directory, "config", "test.Stays"), $"exit-on-client-eof={(isSaid ? "true" : "false")}\n");
        using var limit = new CancellationTokenSource(DaemonProcess.Deadline);
        var call = (await _agent.CallAsync("dom0", "test.Stays", 513))!;
        using var peer = await listener.AcceptAsync(limit.Token);
        var ended = call.EndAsync();
        // It sees the end of the input, and goes on.
        var all = new byte[256];
        while (await peer.ReceiveAsync(all, limit.Token) > 0)
        {
        }
        if (!isSaid)
        {
            await peer.SendAsync("more"u8.ToArray(), limit.Token);
            Assert.That(ended.IsCompleted, Is.False);
            peer.Dispose();
        }
        Assert.That(await ended, Is.EqualTo((0, isSaid ? "" : "more", "")));
    }

    [Test]
    public async Task A_vm_relays_for_its_remote_vms_and_for_nobody_else()
    {
        await StartAsync($"\"service-user\": \"{Environment.UserName}\"");
        foreach (var (name, relay) in new[] { ("far", "work"), ("near", "vault") })
        {
            await Daemon.OkAsync("mgmt.vm.Create.RemoteVM", "dom0", "", $"name={name} label=red");
            await Daemon.OkAsync("mgmt.vm.property.Set", name, "relayvm", relay);
        }
        Write("test.Relayed", "echo $QREXEC_REMOTE_DOMAIN");
        Write("test.Own", "echo $QREXEC_REMOTE_DOMAIN");
        var call = (await _agent.CallAsync("dom0", "test.Relayed", 513, "far"))!;
        Assert.That(await call.EndAsync(), Is.EqualTo((0, "far\n", "")));
        var line = Daemon.Audit("test.Relayed")[0];
        Assert.That((line.GetProperty("source").GetString(), line.GetProperty("requested_source").GetString()), Is.EqualTo(("work", "far")));
        Assert.That(line.GetProperty("rule").GetString(), Does.EndWith("10-guest.policy:1"));
        // For itself another rule counts; it is no relay of that one, that is no RemoteVM, and that is nobody.
        foreach (var claimed in new[] { "", "near", "vault", "nobody-at-all" })
        {
            Assert.That(await _agent.CallAsync("dom0", "test.Relayed", 514, claimed), Is.Null, claimed);
            Assert.That(Daemon.Audit("test.Relayed")[^1].GetProperty("outcome").GetString(), Is.EqualTo(nameof(ErrorCode.PermissionDenied)), claimed);
        }
        // What is not allowed to the one it calls for is not allowed because it is allowed to the relay.
        Assert.That(await _agent.CallAsync("dom0", "test.Own", 514, "far"), Is.Null);
        Assert.That((await (await _agent.CallAsync("dom0", "test.Own", 514))!.EndAsync()).Output, Is.EqualTo("work\n"));
    }

    private async Task StartAsync(string settings)
    {
        _daemon = await DaemonProcess.StartAsync(new()
        {
            Config = $$"""{ "vchan-dir": "{{_directory}}/vchan", "service-dirs": ["{{_directory}}/rpc"], "service-config-dirs": ["{{_directory}}/config"], {{settings}} }""",
            Policy = new Dictionary<string, string> { ["10-guest.policy"] = Rules },
        });
        await Daemon.OkAsync("mgmt.vm.Start", "work");
        _agent = await ScriptedAgent.StartAsync(Daemon, Path.Combine(_directory, "vchan"), "work");
        _open.Add(_agent);
    }

    private async Task<(int Code, string Output, string Errors)> CallAsync(string service) => await (await _agent.CallAsync("dom0", service, 513))!.EndAsync();

    private static string RunCommand(string program, params string[] words)
    {
        using var process = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo(program, words) { RedirectStandardOutput = true })!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return output;
    }

    private void Write(string name, string script)
    {
        var path = Path.Combine(_directory, "rpc", name);
        File.WriteAllText(path, "#!/bin/sh\n" + script + "\n", Encoding.ASCII);
        File.SetUnixFileMode(path, (UnixFileMode)0b111_101_101);
    }
}
