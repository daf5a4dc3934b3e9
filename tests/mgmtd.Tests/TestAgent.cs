using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>An agent of qrexec's policy.Ask on a socket, with answers that the test gives.</summary>
internal sealed class TestAgent : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly string _path;

    internal TestAgent(string path)
    {
        _path = path;
        _listener.Bind(new UnixDomainSocketEndPoint(path));
        _listener.Listen(16);
    }

    internal static TestAgent Of(DaemonProcess daemon) => new(Path.Combine(daemon.RunDirectory, "policy-agent.sock"));

    /// <summary>The next question, read to the end of input.</summary>
    internal async Task<Question> NextAsync()
    {
        using var limit = new CancellationTokenSource(DaemonProcess.Deadline);
        var socket = await _listener.AcceptAsync(limit.Token);
        var whole = new MemoryStream();
        var buffer = new byte[4096];
        while (await socket.ReceiveAsync(buffer, limit.Token) is > 0 and var read)
        {
            whole.Write(buffer, 0, read);
        }
        return new(socket, Encoding.Latin1.GetString(whole.ToArray()));
    }

    public void Dispose()
    {
        _listener.Dispose();
        File.Delete(_path);
    }

    internal sealed class Question(Socket socket, string bytes)
    {
        internal string Header => bytes.Split('\0')[0];

        internal JsonElement Json => JsonDocument.Parse(bytes.Split('\0', 2)[1]).RootElement;

        internal string Text => bytes;

        /// <summary>Answers and closes; the empty text only closes.</summary>
        internal async Task AnswerAsync(string text)
        {
            await socket.SendAsync(Encoding.ASCII.GetBytes(text));
            socket.Dispose();
        }

        /// <summary>Waits until the daemon gave the question up: it is not there any more to be written to.</summary>
        internal async Task GivenUpAsync()
        {
            using var limit = new CancellationTokenSource(DaemonProcess.Deadline);
            try
            {
                while (true)
                {
                    // A blank is part of an answer that never gets whole.
                    await socket.SendAsync(" "u8.ToArray(), limit.Token);
                    await Task.Delay(10, limit.Token);
                }
            }
            catch (SocketException)
            {
                socket.Dispose();
            }
        }
    }
}
