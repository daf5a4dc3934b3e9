using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using Mgmt.Testing;
using Mgmt.Wire;

namespace Mgmt.Daemon.Tests;

/// <summary>What a service manager relies on: readiness is told, and a socket that it opened is served.</summary>
public sealed class ServiceManagerTests
{
    private const string Activator = "/usr/bin/systemd-socket-activate";

    [Test]
    public async Task Readiness_is_told_and_so_is_the_stop()
    {
        using var directory = new TemporaryDirectory();
        var address = Path.Combine(directory.Path, "notify");
        using var notified = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        notified.Bind(new UnixDomainSocketEndPoint(address));
        await using var daemon = await DaemonProcess.StartAsync(new DaemonOptions { Environment = new Dictionary<string, string> { ["NOTIFY_SOCKET"] = address } });
        Assert.That(await ReceiveAsync(notified), Is.EqualTo("READY=1"));
        await daemon.StopAsync();
        Assert.That(await ReceiveAsync(notified), Is.EqualTo("STOPPING=1"));
    }

    [Test]
    public async Task A_socket_that_the_service_manager_opened_is_served()
    {
        if (!File.Exists(Activator))
        {
            Requirement.Missing(Activator + " is missing");
        }
        using var directory = new TemporaryDirectory();
        var path = Path.Combine(directory.Path, "s");
        string[] arguments =
        [
            "-l", path, .. DaemonProcess.Program(), "--backend", "test:///default", "--state-dir", Path.Combine(directory.Path, "state"),
            "--run-dir", Path.Combine(directory.Path, "run"), "--policy-dir", Path.Combine(Repository.Root, "policy"),
        ];
        using var activator = Process.Start(new ProcessStartInfo(Activator, arguments) { RedirectStandardError = true })!;
        try
        {
            // Its first words on stderr are that it listens.
            await activator.StandardError.ReadLineAsync().WaitAsync(DaemonProcess.Deadline);
            var reply = await new MgmtClient(path).CallAsync(RequestHeader.ToDom0("mgmt.vm.List", ""), ReadOnlyMemory<byte>.Empty, CancellationToken.None).WaitAsync(DaemonProcess.Deadline);
            Assert.That(((Reply.Ok)reply).Text, Does.Contain("vault class=AppVM state=Halted\n"));
        }
        finally
        {
            // It became the daemon by exec.
            activator.Kill();
            await activator.WaitForExitAsync();
        }
    }

    private static async Task<string> ReceiveAsync(Socket socket)
    {
        var buffer = new byte[256];
        using var limit = new CancellationTokenSource(DaemonProcess.Deadline);
        return Encoding.UTF8.GetString(buffer, 0, await socket.ReceiveAsync(buffer.AsMemory(), SocketFlags.None, limit.Token));
    }

    private sealed class TemporaryDirectory : IDisposable
    {
        public string Path { get; } = Directory.CreateTempSubdirectory("mgmt-").FullName;

        public void Dispose() => Directory.Delete(Path, recursive: true);
    }
}
