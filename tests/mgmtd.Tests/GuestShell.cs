using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace Mgmt.Daemon.Tests;

/// <summary>
/// Runs scripts in a guest. Its agent talks to one client, which is the daemon: so the daemon is killed, and the next one adopts the VM.
/// </summary>
internal static class GuestShell
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30), Attempt = TimeSpan.FromSeconds(2);

    /// <summary>Runs a script to its end and gives what it wrote; it has to succeed.</summary>
    internal static async Task<string> RunAsync(QemuDaemon qemu, string vm, string script)
    {
        var run = Directory.GetDirectories(Path.Combine(qemu.Process.RunDirectory, "vm"), "*-" + vm).Single();
        await qemu.Process.KillHardAsync();
        string said;
        using (var limit = new CancellationTokenSource(Deadline))
        {
            said = await ShellAsync(Path.Combine(run, "agent"), script, limit.Token);
        }
        await qemu.Process.StartAgainAsync();
        var until = Environment.TickCount64 + (long)Deadline.TotalMilliseconds;
        while (await qemu.Process.StateAsync(vm) == "NA")
        {
            Assert.That(Environment.TickCount64, Is.LessThan(until), "not adopted");
            await Task.Delay(10);
        }
        return said;
    }

    private static async Task<string> ShellAsync(string path, string script, CancellationToken cancellation)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation);
        await SyncAsync(socket, cancellation);
        var arguments = JsonSerializer.Serialize(new Dictionary<string, object> { ["path"] = "/bin/sh", ["arg"] = new[] { "-c", script }, ["capture-output"] = true });
        var pid = (await AskAsync(socket, $$"""{"execute":"guest-exec","arguments":{{arguments}}}""", cancellation)).GetProperty("pid").GetInt32();
        while (true)
        {
            var status = await AskAsync(socket, $$$"""{"execute":"guest-exec-status","arguments":{"pid":{{{pid}}}}}""", cancellation);
            if (status.GetProperty("exited").GetBoolean())
            {
                string Text(string name) => status.TryGetProperty(name, out var data) ? Encoding.UTF8.GetString(data.GetBytesFromBase64()) : "";
                Assert.That(status.TryGetProperty("exitcode", out var code) ? code.GetInt32() : -1, Is.Zero, $"{script}: {Text("err-data")}{Text("out-data")}");
                return Text("out-data");
            }
            await Task.Delay(20, cancellation);
        }
    }

    /// <summary>An agent that has just lost its client may not hear the first words of the next one.</summary>
    private static async Task SyncAsync(Socket socket, CancellationToken cancellation)
    {
        for (var id = 1; ; id++)
        {
            using var attempt = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            attempt.CancelAfter(Attempt);
            try
            {
                byte[] question = [0xFF, .. Encoding.ASCII.GetBytes($$$"""{"execute":"guest-sync-delimited","arguments":{"id":{{{id}}}}}"""), (byte)'\n'];
                await socket.SendAsync(question, attempt.Token);
                while (!(await LineAsync(socket, attempt.Token)).Contains($"\"return\": {id}}}", StringComparison.Ordinal))
                {
                }
                return;
            }
            catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
            {
                // Asked again.
            }
        }
    }

    private static async Task<JsonElement> AskAsync(Socket socket, string question, CancellationToken cancellation)
    {
        await socket.SendAsync(Encoding.UTF8.GetBytes(question + "\n"), cancellation);
        var line = await LineAsync(socket, cancellation);
        using var answer = JsonDocument.Parse(line);
        return answer.RootElement.TryGetProperty("return", out var result) ? result.Clone() : throw new IOException(line);
    }

    private static async Task<string> LineAsync(Socket socket, CancellationToken cancellation)
    {
        var line = new List<byte>();
        var one = new byte[1];
        while (await socket.ReceiveAsync(one, cancellation) > 0)
        {
            if (one[0] == (byte)'\n')
            {
                return Encoding.UTF8.GetString([.. line]);
            }
            line.Add(one[0]);
        }
        throw new EndOfStreamException(Encoding.UTF8.GetString([.. line]));
    }
}
