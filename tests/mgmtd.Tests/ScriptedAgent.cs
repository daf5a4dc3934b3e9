using System.Net.Sockets;
using System.Text;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>An agent of Qubes OS in a VM, scripted, on a directory of vchan sockets: it makes calls, any number at once, and is asked for commands.</summary>
internal sealed class ScriptedAgent : IDisposable
{
    private readonly string _directory;
    private readonly string _qid;
    private readonly List<Socket> _sockets = [];
    private Socket? _control;

    private ScriptedAgent(string directory, string qid) => (_directory, _qid) = (directory, qid);

    /// <summary>Begins with a daemon that serves the directory, of a VM that runs or will soon.</summary>
    internal static async Task<ScriptedAgent> StartAsync(DaemonProcess daemon, string directory, string vm)
    {
        var agent = new ScriptedAgent(directory, (await daemon.OkAsync("mgmt.vm.property.Get", vm, "qid")).Split(' ')[^1]);
        agent._control = await agent.AcceptAsync(agent.Listen(512));
        await SayAsync(agent._control, Hello);
        Assert.That(await HearAsync(agent._control, 12), Is.EqualTo(Hello));
        return agent;
    }

    /// <summary>Calls, as somebody else if it claims so; null when it is refused.</summary>
    internal async Task<Call?> CallAsync(string target, string service, uint port, string claimed = "")
    {
        var server = Listen(port);
        await SayAsync(_control!, Message(0x213, [.. Field(claimed, 64), .. Field(target, 64), .. Field("SOCKET" + port, 32), .. Encoding.ASCII.GetBytes(service + "\0")]));
        var header = await HearAsync(_control!, 8);
        var body = await HearAsync(_control!, BitConverter.ToInt32(header, 4));
        if (BitConverter.ToUInt32(header) == 0x203)
        {
            return null;
        }
        Assert.That((BitConverter.ToUInt32(header), BitConverter.ToUInt32(body, 4)), Is.EqualTo((0x202u, port)));
        var data = await AcceptAsync(server);
        await SayAsync(data, Hello);
        Assert.That(await HearAsync(data, 12), Is.EqualTo(Hello));
        return new(data);
    }

    /// <summary>Waits to be asked for a command, and connects to its data channel.</summary>
    internal async Task<Command> AskedAsync()
    {
        var header = await HearAsync(_control!, 8);
        var body = await HearAsync(_control!, BitConverter.ToInt32(header, 4));
        Assert.That((BitConverter.ToUInt32(header), BitConverter.ToUInt32(body)), Is.EqualTo((0x200u, 0u)));
        var port = BitConverter.ToUInt32(body, 4);
        var data = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        _sockets.Add(data);
        await data.ConnectAsync(new UnixDomainSocketEndPoint(Path.Combine(_directory, $"vchan.0.{_qid}.{port}.sock")));
        Assert.That(await HearAsync(data, 12), Is.EqualTo(Hello));
        await SayAsync(data, Hello);
        return new(this, data, port, Encoding.ASCII.GetString(body.AsSpan(8)));
    }

    /// <summary>Is the agent of a VM that runs just long enough to say that, and to be hung up on.</summary>
    internal static async Task SayOnceAsync(DaemonProcess daemon, string directory, string vm, byte[] bytes)
    {
        using var agent = new ScriptedAgent(directory, (await daemon.OkAsync("mgmt.vm.property.Get", vm, "qid")).Split(' ')[^1]);
        var control = await agent.AcceptAsync(agent.Listen(512));
        await SayAsync(control, bytes);
        using var limit = new CancellationTokenSource(DaemonProcess.Deadline);
        try
        {
            // Its HELLO, perhaps, and the end.
            while (await control.ReceiveAsync(new byte[64], limit.Token) > 0)
            {
            }
        }
        catch (SocketException)
        {
            // It did not read all of it.
        }
    }

    /// <summary>Says that on its control channel.</summary>
    internal Task SayAsync(byte[] bytes) => SayAsync(_control!, bytes);

    public void Dispose() => _sockets.ForEach(socket => socket.Dispose());

    private static byte[] Hello => Message(0x300, 4, 0, 0, 0);

    private Socket Listen(uint port)
    {
        var path = Path.Combine(_directory, $"vchan.{_qid}.0.{port}.sock");
        File.Delete(path);
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        _sockets.Add(listener);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen(1);
        return listener;
    }

    private async Task<Socket> AcceptAsync(Socket listener)
    {
        using var limit = new CancellationTokenSource(DaemonProcess.Deadline);
        var socket = await listener.AcceptAsync(limit.Token);
        _sockets.Add(socket);
        return socket;
    }

    internal static byte[] Message(uint type, params byte[] body) => [.. BitConverter.GetBytes(type), .. BitConverter.GetBytes(body.Length), .. body];

    private static byte[] Field(string text, int size)
    {
        var field = new byte[size];
        Encoding.ASCII.GetBytes(text, field);
        return field;
    }

    private static async Task SayAsync(Socket socket, byte[] bytes) => await socket.SendAsync(bytes, SocketFlags.None, CancellationToken.None);

    private static async Task<byte[]> HearAsync(Socket socket, int length)
    {
        using var limit = new CancellationTokenSource(DaemonProcess.Deadline);
        var bytes = new byte[length];
        for (var filled = 0; filled < length;)
        {
            var read = await socket.ReceiveAsync(bytes.AsMemory(filled), limit.Token);
            Assert.That(read, Is.Positive, "the channel ended");
            filled += read;
        }
        return bytes;
    }

    /// <summary>A command that it was asked for.</summary>
    internal sealed class Command(ScriptedAgent agent, Socket data, uint port, string text)
    {
        internal string Text => text;

        /// <summary>All of its input.</summary>
        internal async Task<string> InputAsync()
        {
            var input = new StringBuilder();
            while (true)
            {
                var header = await HearAsync(data, 8);
                Assert.That(header[0], Is.EqualTo(0x90));
                if (BitConverter.ToInt32(header, 4) is not (> 0 and var length))
                {
                    return input.ToString();
                }
                input.Append(Encoding.Latin1.GetString(await HearAsync(data, length)));
            }
        }

        /// <summary>Writes output and errors, and ends.</summary>
        internal async Task EndAsync(string output, string errors, int code)
        {
            await SayAsync(data, [.. Message(0x191, Encoding.Latin1.GetBytes(output)), .. Message(0x192, Encoding.Latin1.GetBytes(errors)), .. Message(0x191), .. Message(0x192), .. Message(0x193, BitConverter.GetBytes(code))]);
            await CloseAsync();
        }

        /// <summary>Waits until the host has closed.</summary>
        internal async Task GoneAsync()
        {
            using var limit = new CancellationTokenSource(DaemonProcess.Deadline);
            var block = new byte[4096];
            try
            {
                while (await data.ReceiveAsync(block, limit.Token) > 0)
                {
                    // The last of its input.
                }
            }
            catch (SocketException)
            {
                // It closed with our HELLO unread.
            }
        }

        /// <summary>Closes, and says that the port is free.</summary>
        internal async Task CloseAsync()
        {
            data.Dispose();
            await SayAsync(agent._control!, Message(0x211, [.. new byte[4], .. BitConverter.GetBytes(port)]));
        }
    }

    /// <summary>A call that was accepted.</summary>
    internal sealed class Call(Socket data)
    {
        private readonly StringBuilder _output = new();
        private readonly StringBuilder _errors = new();

        /// <summary>Sends bytes as they are.</summary>
        internal Task SendAsync(byte[] bytes) => ScriptedAgent.SayAsync(data, bytes);

        internal Task SayAsync(string text) => ScriptedAgent.SayAsync(data, Message(0x190, Encoding.Latin1.GetBytes(text)));

        /// <summary>Waits for the first output, which is not the last of it.</summary>
        internal async Task<string> HearAsync()
        {
            while (_output.Length == 0)
            {
                Assert.That(await TakeAsync(), Is.Null, "it ended");
            }
            return _output.ToString();
        }

        internal void Close() => data.Dispose();

        /// <summary>Ends the input and waits for the end.</summary>
        internal async Task<(int Code, string Output, string Errors)> EndAsync()
        {
            await SayAsync("");
            return await EndedAsync();
        }

        /// <summary>Waits for the end.</summary>
        internal async Task<(int Code, string Output, string Errors)> EndedAsync()
        {
            while (true)
            {
                if (await TakeAsync() is { } code)
                {
                    return (code, _output.ToString(), _errors.ToString());
                }
            }
        }

        private async Task<int?> TakeAsync()
        {
            var header = await ScriptedAgent.HearAsync(data, 8);
            var body = await ScriptedAgent.HearAsync(data, BitConverter.ToInt32(header, 4));
            if (header[0] == 0x93)
            {
                return BitConverter.ToInt32(body);
            }
            (header[0] == 0x91 ? _output : _errors).Append(Encoding.Latin1.GetString(body));
            return null;
        }
    }
}
