using System.Net.Sockets;
using System.Text;

namespace Mgmt.Daemon.Tests;

/// <summary>Asks a VM's QEMU or its guest agent past the daemon.</summary>
internal static class RawMonitor
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);

    // An agent that has just lost its client may not hear the first words of the next one.
    private static readonly TimeSpan Attempt = TimeSpan.FromSeconds(3);

    /// <summary>A QMP command's reply line, through the second control socket.</summary>
    internal static Task<string> QemuAsync(string runDirectory, string command, string arguments = "") => TalkAsync(
        Path.Combine(runDirectory, "rescue"), Encoding.ASCII.GetBytes($$"""{"execute":"qmp_capabilities"}{"execute":"{{command}}","id":"asked"{{arguments}}}"""), "\"asked\"", Deadline);

    /// <summary>Writes so many bytes of a value to the beginning of a VM's disk and flushes, as its guest would.</summary>
    internal static async Task WriteAsync(string runDirectory, string volume, byte value, int bytes)
    {
        foreach (var command in new[] { $"write -P {value} 0 {bytes}", "flush" })
        {
            var line = $$"""{"command-line":"qemu-io -d /machine/peripheral/disk-{{volume}}/virtio-backend \"{{command}}\""}""";
            var question = $$"""{"execute":"qmp_capabilities"}{"execute":"human-monitor-command","arguments":{{line}},"id":"asked"}""";
            Assert.That(await TalkAsync(Path.Combine(runDirectory, "rescue"), Encoding.ASCII.GetBytes(question), "\"asked\"", Deadline), Does.Contain("\"return\": \"\""));
        }
    }

    /// <summary>Whether the guest's file systems are <c>frozen</c> or <c>thawed</c>; <c>silent</c>: ask again. The daemon must be dead: the agent has one client.</summary>
    internal static async Task<string> FreezeStatusAsync(string runDirectory)
    {
        byte[] question = [0xFF, .. "{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":77}}{\"execute\":\"guest-fsfreeze-status\"}"u8];
        try
        {
            return (await TalkAsync(Path.Combine(runDirectory, "agent"), question, "\"return\": \"", Attempt)).Contains("\"frozen\"", StringComparison.Ordinal) ? "frozen" : "thawed";
        }
        catch (OperationCanceledException)
        {
            return "silent";
        }
    }

    private static async Task<string> TalkAsync(string path, byte[] question, string mark, TimeSpan deadline)
    {
        using var limit = new CancellationTokenSource(deadline);
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), limit.Token);
        await socket.SendAsync(question, limit.Token);
        var heard = new StringBuilder();
        var buffer = new byte[64 * 1024];
        while (true)
        {
            var text = heard.ToString();
            if (text.Split('\n').SkipLast(1).LastOrDefault(line => line.Contains(mark, StringComparison.Ordinal)) is { } line)
            {
                return line;
            }
            var read = await socket.ReceiveAsync(buffer, limit.Token);
            heard.Append(read > 0 ? Encoding.Latin1.GetString(buffer, 0, read) : throw new EndOfStreamException(text));
        }
    }
}
