using System.Net.Sockets;
using System.Text;
using Mgmt.Core;
using Mgmt.Wire;
using NUnit.Framework;

namespace Mgmt.Testing;

/// <content>Talking to it.</content>
public sealed partial class DaemonProcess
{
    /// <summary>Sends bytes as they are, half-closes, and gives what comes back until the end.</summary>
    public Task<byte[]> SendRawAsync(string bytes) => SendRawAsync(Encoding.Latin1.GetBytes(bytes));

    /// <summary>Sends bytes as they are, half-closes unless told otherwise, and gives what comes back until the end.</summary>
    public async Task<byte[]> SendRawAsync(ReadOnlyMemory<byte> bytes, bool halfClose = true)
    {
        using var limit = new CancellationTokenSource(Deadline);
        using var socket = await ConnectAsync();
        try
        {
            await socket.SendAsync(bytes, limit.Token);
            if (halfClose)
            {
                socket.Shutdown(SocketShutdown.Send);
            }
        }
        catch (SocketException)
        {
            // It did not want the rest; what it answered counts.
        }
        return await ReadToEndAsync(socket, limit.Token);
    }

    /// <summary>A connection on which nothing was sent.</summary>
    public async Task<Socket> ConnectAsync()
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(SocketPath));
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>A call and its reply as bytes. A destination that begins with <c>keyword </c> is one.</summary>
    public Task<byte[]> CallRawAsync(string method, string destination = "dom0", string argument = "", string payload = "", string source = "dom0")
    {
        var target = destination.StartsWith("keyword ", StringComparison.Ordinal) ? destination : "name " + destination;
        return SendRawAsync($"{method}+{argument} {source} {target}\0{payload}");
    }

    /// <summary>A call and its reply.</summary>
    public async Task<Reply> CallAsync(string method, string destination = "dom0", string argument = "", string payload = "", string source = "dom0") =>
        ReplyParser.Parse(await CallRawAsync(method, destination, argument, payload, source));

    /// <summary>A call that has to succeed: its content as text.</summary>
    public async Task<string> OkAsync(string method, string destination = "dom0", string argument = "", string payload = "", string source = "dom0")
    {
        var reply = await CallAsync(method, destination, argument, payload, source);
        if (reply is Reply.Failure failure)
        {
            Assert.Fail($"{method}+{argument} on {destination}: {failure.Type}: {failure.Message}");
        }
        return ((Reply.Ok)reply).Text;
    }

    /// <summary>A call that has to fail with the type given.</summary>
    public async Task<Reply.Failure> RefusedAsync(ErrorCode code, string method, string destination = "dom0", string argument = "", string payload = "", string source = "dom0")
    {
        var reply = await CallAsync(method, destination, argument, payload, source);
        Assert.That(reply, Is.InstanceOf<Reply.Failure>(), () => $"{method}+{argument} on {destination} was not refused");
        var failure = (Reply.Failure)reply;
        Assert.That(failure.Type, Is.EqualTo(code.ToString()), failure.Message);
        return failure;
    }

    /// <summary>The state of a VM, as vm.List says.</summary>
    public async Task<string> StateAsync(string vm) => (await OkAsync("mgmt.vm.List", vm)).Trim().Split("state=")[1];

    /// <summary>Everything that is configured.</summary>
    public Task<string> ExportAsync() => OkAsync("mgmt.host.Export");

    /// <summary>The newest cursor.</summary>
    public async Task<string> CursorAsync() => (await OkAsync("mgmt.Info")).Split('\n').Single(line => line.StartsWith("cursor=", StringComparison.Ordinal))["cursor=".Length..];

    /// <summary>A subscription; returns when the first event, connection-established, is there.</summary>
    public Task<DaemonEvents> EventsAsync(string filter = "", string destination = "dom0", string source = "dom0", string method = "mgmt.Events") =>
        DaemonEvents.OpenAsync(this, $"{method}+ {source} name {destination}\0{filter}");

    /// <summary>Writes a rule file and waits until the daemon has taken notice: policy-loaded or policy-degraded.</summary>
    public async Task<MgmtEvent> WritePolicyAsync(string file, string text)
    {
        await using var events = await EventsAsync("since=now\nevent=policy-loaded\nevent=policy-degraded\n");
        var next = Path.Combine(PolicyDirectory, "." + file + ".new");
        await File.WriteAllTextAsync(next, text);
        File.Move(next, Path.Combine(PolicyDirectory, file), overwrite: true);
        return await events.NextAsync("policy-*");
    }

    /// <summary>What comes until the end.</summary>
    public static async Task<byte[]> ReadToEndAsync(Socket socket, CancellationToken cancellation)
    {
        var whole = new MemoryStream();
        var buffer = new byte[64 * 1024];
        try
        {
            while (await socket.ReceiveAsync(buffer, SocketFlags.None, cancellation) is var read and > 0)
            {
                whole.Write(buffer, 0, read);
            }
        }
        catch (SocketException)
        {
            // Reset after the reply: the reply counts.
        }
        return whole.ToArray();
    }
}
