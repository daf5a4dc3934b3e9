using System.Buffers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Mgmt.Api;

namespace Mgmt.Daemon;

// request = "policy.Ask dom0 name dom0" NUL JSON EOF, as qrexec's policy daemon sends it to an agent in its own domain
// JSON    = { source, service, argument, targets[], default_target, icons{} }, ASCII; no default is an empty string
// answer  = "allow:" TARGET EOF / "deny" EOF
/// <summary>
/// An agent that listens on a socket and speaks qrexec's policy.Ask, such as qrexec-policy-agent: one connection per question.
/// SOURCE: qubes-core-qrexec, qrexec/server.py (call_socket_service_local) and doc/qrexec-policy-agent.rst.
/// </summary>
internal sealed class PolicyAgentSocket(string path) : IAskSocket
{
    private const int MostBytes = 4096;

    public string Name => path;

    public async Task<string?> AskAsync(AskQuestion question, CancellationToken cancellation)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation);
            await SendAsync(socket, Request(question), cancellation);
            socket.Shutdown(SocketShutdown.Send);
            return await ReadAsync(socket, cancellation);
        }
        catch (Exception error) when (error is SocketException or ArgumentException)
        {
            // Nobody listens, or it went away.
            return null;
        }
    }

    internal static byte[] Request(AskQuestion question)
    {
        var output = new ArrayBufferWriter<byte>(1024);
        output.Write("policy.Ask dom0 name dom0\0"u8);
        // What is not ASCII is escaped.
        using var json = new Utf8JsonWriter(output);
        json.WriteStartObject();
        json.WriteString("source", question.Source);
        json.WriteString("service", question.Service);
        json.WriteString("argument", question.Argument);
        json.WriteStartArray("targets");
        foreach (var target in question.Targets)
        {
            json.WriteStringValue(target);
        }
        json.WriteEndArray();
        json.WriteString("default_target", question.DefaultTarget ?? "");
        json.WriteStartObject("icons");
        foreach (var (name, icon) in question.Icons)
        {
            json.WriteString(name, icon);
        }
        json.WriteEndObject();
        json.WriteEndObject();
        json.Flush();
        return output.WrittenSpan.ToArray();
    }

    private static async Task SendAsync(Socket socket, ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
    {
        while (bytes.Length > 0)
        {
            bytes = bytes[await socket.SendAsync(bytes, SocketFlags.None, cancellation)..];
        }
    }

    /// <summary>Its answer; null when it closed without one. What is too long, or no ASCII, is no answer that means anything.</summary>
    private static async Task<string?> ReadAsync(Socket socket, CancellationToken cancellation)
    {
        var buffer = new byte[MostBytes];
        var filled = 0;
        while (filled < buffer.Length && await socket.ReceiveAsync(buffer.AsMemory(filled), SocketFlags.None, cancellation) is > 0 and var read)
        {
            filled += read;
        }
        return filled == 0 ? null : Encoding.ASCII.GetString(buffer, 0, filled);
    }
}
