using System.Net.Sockets;
using System.Text;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>The console call on a VM in memory: bytes both ways.</summary>
internal sealed class ConsoleTests
{
    private const string Call = "mgmt.vm.Console+ dom0 name sys-net\0";

    private DaemonProcess _daemon = null!;

    [SetUp]
    public async Task Start()
    {
        _daemon = await DaemonProcess.StartAsync();
        if (await _daemon.StateAsync("sys-net") != "Running")
        {
            await _daemon.OkAsync("mgmt.vm.Start", "sys-net");
        }
    }

    [TearDown]
    public async Task Stop() => await _daemon.DisposeAsync();

    [Test]
    public async Task What_was_printed_comes_first_and_what_is_typed_is_read_by_the_guest()
    {
        using var socket = await OpenAsync();
        await ReadToAsync(socket, "0\0Console of sys-net\r\n");
        await socket.SendAsync("hello"u8.ToArray());
        await ReadToAsync(socket, "hello");
        // The end of what is typed is not the end of what is printed.
        socket.Shutdown(SocketShutdown.Send);
        await _daemon.OkAsync("mgmt.vm.Kill", "sys-net");
        Assert.That(await ReceiveAsync(socket), Is.Empty);
        Assert.That(await File.ReadAllTextAsync(Path.Combine(_daemon.StateDirectory, "audit.log")), Does.Contain("\"outcome\":\"stream\""));
    }

    [Test]
    public async Task One_caller_has_it_and_the_next_gets_it_when_that_is_gone()
    {
        var socket = await OpenAsync();
        await ReadToAsync(socket, "0\0Console of sys-net\r\n");
        await _daemon.RefusedAsync(ErrorCode.MgmtBusyError, "mgmt.vm.Console", "sys-net");
        socket.Dispose();
        using var limit = new CancellationTokenSource(DaemonProcess.Deadline);
        while (true)
        {
            using var next = await OpenAsync();
            if ((await ReceiveAsync(next)).StartsWith('0'))
            {
                break;
            }
            await Task.Delay(20, limit.Token);
        }
    }

    [Test]
    public async Task A_halted_vm_has_none_and_a_denied_caller_hears_nothing()
    {
        await _daemon.OkAsync("mgmt.vm.Kill", "sys-net");
        await _daemon.RefusedAsync(ErrorCode.QubesVMNotStartedError, "mgmt.vm.Console", "sys-net");
        await _daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.vm.Console", "sys-net", source: "vault");
    }

    [Test]
    public async Task A_daemon_that_ends_lets_go_of_it()
    {
        using var socket = await OpenAsync();
        await ReadToAsync(socket, "0\0Console of sys-net\r\n");
        await _daemon.StopAsync();
        Assert.That(await ReceiveAsync(socket), Is.Empty);
    }

    private async Task<Socket> OpenAsync()
    {
        var socket = await _daemon.ConnectAsync();
        await socket.SendAsync(Encoding.ASCII.GetBytes(Call));
        return socket;
    }

    private static async Task<string> ReceiveAsync(Socket socket)
    {
        using var limit = new CancellationTokenSource(DaemonProcess.Deadline);
        var buffer = new byte[4096];
        return Encoding.Latin1.GetString(buffer, 0, await socket.ReceiveAsync(buffer, limit.Token));
    }

    private static async Task ReadToAsync(Socket socket, string whole)
    {
        var read = "";
        while (read.Length < whole.Length)
        {
            var more = await ReceiveAsync(socket);
            Assert.That(more, Is.Not.Empty, read);
            read += more;
        }
        Assert.That(read, Is.EqualTo(whole));
    }
}
