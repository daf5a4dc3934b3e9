using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>Where programs of Qubes OS look for their daemon, and what they run.</summary>
public sealed class QubesdSocketTests
{
    private string _directory = "";

    [SetUp]
    public void MakeDirectory() => _directory = Directory.CreateTempSubdirectory("mgmt-qubesd-").FullName;

    [TearDown]
    public void RemoveDirectory() => Directory.Delete(_directory, recursive: true);

    [Test]
    public async Task The_same_calls_are_served_where_clients_of_Qubes_look()
    {
        var run = Directory.CreateDirectory(Path.Combine(_directory, "run")).FullName;
        var link = Path.Combine(_directory, "var-run");
        Directory.CreateSymbolicLink(link, run);
        var (socket, same, inside) = (Path.Combine(run, "qubesd.sock"), Path.Combine(link, "qubesd.sock"), Path.Combine(run, "qubesd.internal.sock"));
        await using (var daemon = await DaemonProcess.StartAsync(new() { Config = $$"""{ "qubesd-sockets": ["{{socket}}", "{{same}}", "{{inside}}"] }""" }))
        {
            var expected = Scenario.Text(await daemon.SendRawAsync("admin.vm.List+ dom0 name dom0\0"));
            Assert.That(expected, Does.StartWith("0␀debian class=TemplateVM "));
            Assert.That(await AskAsync(socket, "admin.vm.List+ dom0 name dom0␀"), Is.EqualTo(expected));
            Assert.That(await AskAsync(same, "admin.vm.List+ dom0 name dom0␀"), Is.EqualTo(expected));
            Assert.That(await AskAsync(inside, "internal.GetSystemInfo dom0 name dom0␀"), Does.StartWith("0␀{\"domains\":{"));
            Assert.That(await daemon.StopAsync(), Is.Zero);
        }
        Assert.That(Directory.GetFileSystemEntries(run), Is.Empty);
    }

    [Test]
    public async Task A_qubesd_that_serves_there_is_left_alone()
    {
        var path = Path.Combine(_directory, "qubesd.sock");
        using var theirs = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        theirs.Bind(new UnixDomainSocketEndPoint(path));
        theirs.Listen();
        var (exitCode, output) = await DaemonProcess.RunAsync(new() { Config = $$"""{ "qubesd-sockets": ["{{path}}"] }""" });
        Assert.That(exitCode, Is.EqualTo(1));
        Assert.That(output, Does.Contain(path));
        Assert.That(File.Exists(path));
    }

    [Test]
    public async Task A_service_as_a_program_streams_its_input_and_gives_the_reply()
    {
        await using var daemon = await DaemonProcess.StartAsync();
        var (status, output) = await RpcAsync(daemon, "work", "512\n" + new string('x', 512), "admin.vm.volume.ImportWithSize", "private");
        Assert.That((status, output), Is.EqualTo((0, "0␀")));
        Assert.That(await daemon.OkAsync("admin.vm.volume.Info", "work", "private"), Does.Contain("\nsize=512\n"));
        (status, output) = await RpcAsync(daemon, "work", new string('x', 511), "admin.vm.volume.Import", "private");
        Assert.That(status, Is.Zero);
        Assert.That(output, Does.StartWith("2␀ProtocolError␀␀"));
        (status, output) = await RpcAsync(daemon, "work", new string('x', 100_000), "admin.vm.volume.Import", "nosuch");
        Assert.That(status, Is.Zero);
        Assert.That(output, Does.StartWith("2␀QubesVolumeNotFoundError␀␀"));
    }

    [Test]
    public async Task A_console_as_a_program_is_the_console_and_nothing_else()
    {
        await using var daemon = await DaemonProcess.StartAsync();
        if (await daemon.StateAsync("sys-net") != "Running")
        {
            await daemon.OkAsync("admin.vm.Start", "sys-net");
        }
        Assert.That(await RpcAsync(daemon, "sys-net", "hello", "admin.vm.Console"), Is.EqualTo((0, "Console of sys-net\r\nhello")));
        await daemon.OkAsync("admin.vm.Kill", "sys-net");
        var (status, output) = await RpcAsync(daemon, "sys-net", "hello", "admin.vm.Console");
        Assert.That(status, Is.Zero);
        Assert.That(output, Does.StartWith("2␀QubesVMNotStartedError␀␀"));
    }

    [TestCase("work dom0")]
    [TestCase("")]
    [TestCase("work\n")]
    public async Task A_target_that_would_shift_the_header_is_refused(string target)
    {
        await using var daemon = await DaemonProcess.StartAsync();
        Assert.That(await RpcAsync(daemon, target, "", "admin.vm.volume.Import", "private"), Is.EqualTo((2, "")));
    }

    private static async Task<string> AskAsync(string path, string request)
    {
        using var limit = new CancellationTokenSource(DaemonProcess.Deadline);
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), limit.Token);
        await socket.SendAsync(Scenario.Bytes(request), SocketFlags.None, limit.Token);
        socket.Shutdown(SocketShutdown.Send);
        return Scenario.Text(await DaemonProcess.ReadToEndAsync(socket, limit.Token));
    }

    private static async Task<(int Status, string Output)> RpcAsync(DaemonProcess daemon, string target, string input, params string[] words)
    {
        using var limit = new CancellationTokenSource(DaemonProcess.Deadline);
        var program = DaemonProcess.Program();
        var start = new ProcessStartInfo(program[0], [.. program[1..], "rpc", .. words]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["MGMT_SOCKET"] = daemon.SocketPath;
        start.Environment["QREXEC_REMOTE_DOMAIN"] = "dom0";
        start.Environment["QREXEC_REQUESTED_TARGET"] = target;
        using var process = Process.Start(start)!;
        var output = new MemoryStream();
        var reading = process.StandardOutput.BaseStream.CopyToAsync(output, limit.Token);
        try
        {
            await process.StandardInput.BaseStream.WriteAsync(Encoding.ASCII.GetBytes(input), limit.Token);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It had its answer before it had read everything.
        }
        await reading;
        await process.WaitForExitAsync(limit.Token);
        return (process.ExitCode, Scenario.Text(output.ToArray()));
    }
}
