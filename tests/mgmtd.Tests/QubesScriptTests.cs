using System.Diagnostics;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>
/// The script of docs/ with the real interpreter and the real daemon. The library of Qubes OS is not to be had here: in its place is a small stand-in of our own (QubesStandIn/qubesadmin) that sends and
/// takes the same bytes, so that the script's own logic and the socket are tried, and Qubes' library is not.
/// </summary>
public sealed class QubesScriptTests
{
    private string _directory = "";

    private string Socket => Path.Combine(_directory, "qubesd.sock");

    [SetUp]
    public void MakeDirectory()
    {
        Requirement.Program("python3");
        _directory = Directory.CreateTempSubdirectory("mgmt-script-").FullName;
    }

    [TearDown]
    public void RemoveDirectory() => Directory.Delete(_directory, recursive: true);

    [Test]
    public async Task The_script_lists_and_starts_VMs_on_the_socket_where_clients_of_Qubes_look()
    {
        await using var daemon = await StartAsync();
        var (status, output, errors) = await RunAsync();
        Assert.That((status, errors), Is.EqualTo((0, "")));
        (string Name, string Class, string State)[] vms = [("debian", "TemplateVM", "Halted"), ("dom0", "AdminVM", "Running"), ("sys-net", "AppVM", "Halted"), ("vault", "AppVM", "Halted"), ("work", "AppVM", "Halted")];
        Assert.That(output, Is.EqualTo(string.Concat(vms.Select(vm => $"{vm.Name,-31} {vm.Class,-13} {vm.State}\n"))));

        (status, output, errors) = await RunAsync("vault", "work");
        Assert.That((status, errors), Is.EqualTo((0, "")));
        Assert.That(output, Does.EndWith("\nvault: Running\nwork: Running\n"));
        Assert.That(await daemon.StateAsync("work"), Is.EqualTo("Running"));
    }

    [Test]
    public async Task The_script_says_why_a_VM_does_not_start()
    {
        await using var daemon = await StartAsync();
        Assert.That(await RunAsync("nosuch"), Is.EqualTo((1, await ListAsync(), "nosuch: 'nosuch'\n")));
        await daemon.OkAsync("admin.vm.feature.Set", "vault", "prohibit-start", "50% off");
        Assert.That((await RunAsync("vault")).Errors, Is.EqualTo("vault: Qube start is prohibited. Rationale: 50% off\n"));
    }

    private async Task<string> ListAsync() => (await RunAsync()).Output;

    private Task<DaemonProcess> StartAsync() => DaemonProcess.StartAsync(new() { Config = $$"""{ "qubesd-sockets": ["{{Socket}}"] }""" });

    private async Task<(int Status, string Output, string Errors)> RunAsync(params string[] vms)
    {
        var start = new ProcessStartInfo("python3", ["-B", Path.Combine(Repository.Root, "docs", "qubes-list-and-start.py"), .. vms]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["PYTHONPATH"] = Path.Combine(Repository.Root, "tests", "mgmtd.Tests", "QubesStandIn");
        start.Environment["QUBESADMIN_STAND_IN_SOCKET"] = Socket;
        using var python = Process.Start(start)!;
        using var limit = new CancellationTokenSource(DaemonProcess.Deadline);
        var output = python.StandardOutput.ReadToEndAsync(limit.Token);
        var errors = python.StandardError.ReadToEndAsync(limit.Token);
        await python.WaitForExitAsync(limit.Token);
        return (python.ExitCode, await output, await errors);
    }
}
