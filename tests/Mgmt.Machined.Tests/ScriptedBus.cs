using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Machined.Tests;

/// <summary>
/// A bus and every peer on it, in one: it lets a client in, answers what the bus itself is asked, and the rest as a script says. SOURCE: D-Bus specification,
/// "Message Protocol"; little endian.
/// </summary>
internal sealed class ScriptedBus : IAsyncDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("mgmt-bus-").FullName;
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _serving;

    public ScriptedBus()
    {
        _listener.Bind(new UnixDomainSocketEndPoint(Path.Combine(_directory, "bus")));
        _listener.Listen();
        _serving = ServeAsync();
    }

    /// <summary><paramref name="answer"/>: the whole message that answers ListMachines of that serial, empty for none.</summary>
    public ScriptedBus(Func<uint, byte[]> answer)
        : this() => Script = (member, serial) => member == "ListMachines" ? new ScriptedReply(answer(serial)) : null;

    /// <summary>The reply to a call of that member and serial; null for the usual one.</summary>
    public Func<string, uint, ScriptedReply?> Script { get; set; } = (_, _) => null;

    public string Address => $"unix:path={_directory}/bus";

    /// <summary>A method return with that body.</summary>
    public static byte[] Return(uint serial, string signature, byte[] body, uint files = 0) => Message(2, serial, signature, body, (uint)body.Length, files);

    /// <summary>An error.</summary>
    public static byte[] Error(uint serial, string name, string text)
    {
        var fields = new List<byte>();
        Field(fields, 4, "s", Text(name));
        Reply(fields, serial);
        return Message(3, fields, text.Length > 0 ? "s" : "", text.Length > 0 ? Text(text) : []);
    }

    /// <summary>A signal of machined's manager.</summary>
    public static byte[] Signal(string member, string signature, byte[] body)
    {
        var fields = new List<byte>();
        Field(fields, 1, "o", Text(MachineCalls.MachinedPath));
        Field(fields, 2, "s", Text(MachineCalls.MachinedManager));
        Field(fields, 3, "s", Text(member));
        Field(fields, 7, "s", Text(":1.2"));
        return Message(4, fields, signature, body);
    }

    /// <summary>As Return, with a length of the body of the caller's choice.</summary>
    public static byte[] Message(byte type, uint replyTo, string signature, byte[] body, uint bodyLength, uint files = 0)
    {
        var fields = new List<byte>();
        Reply(fields, replyTo);
        if (files > 0)
        {
            Field(fields, 9, "u", BitConverter.GetBytes(files));
        }
        return Message(type, fields, signature, body, bodyLength);
    }

    /// <summary>An array of <c>(ssso)</c>.</summary>
    public static byte[] Machines(params string[] names) =>
        new BusBody().Array(8, names.Length, (body, n) => body.Text(names[n]).Text("container").Text("test").Text("/m")).Bytes;

    public static byte[] Text(string text) => new BusBody().Text(text).Bytes;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _serving;
        Directory.Delete(_directory, recursive: true);
        _stop.Dispose();
    }

    private async Task ServeAsync()
    {
        try
        {
            while (true)
            {
                using var client = await _listener.AcceptAsync(_stop.Token);
                await TalkAsync(client);
            }
        }
        catch (Exception over) when (over is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // Disposed.
        }
    }

    private async Task TalkAsync(Socket client)
    {
        try
        {
            var buffer = new byte[64 * 1024];
            var rest = await LetInAsync(client, buffer);
            while (true)
            {
                while (TryTake(rest, out var serial, out var member))
                {
                    if (!await AnswerAsync(client, serial, member))
                    {
                        return;
                    }
                }
                var read = await client.ReceiveAsync(buffer, _stop.Token);
                if (read == 0)
                {
                    return;
                }
                rest.AddRange(buffer.AsSpan(0, read));
            }
        }
        catch (SocketException)
        {
            // The client went away.
        }
    }

    /// <summary>sd-bus sends AUTH, NEGOTIATE_UNIX_FD and BEGIN together; what comes after them is given back.</summary>
    private async Task<List<byte>> LetInAsync(Socket client, byte[] buffer)
    {
        var text = "";
        while (!text.Contains("BEGIN\r\n", StringComparison.Ordinal) && await client.ReceiveAsync(buffer, _stop.Token) is > 0 and var n)
        {
            text += Encoding.Latin1.GetString(buffer, 0, n);
        }
        await client.SendAsync("DATA\r\nOK 0123456789abcdef0123456789abcdef\r\nAGREE_UNIX_FD\r\n"u8.ToArray(), _stop.Token);
        return [.. Encoding.Latin1.GetBytes(text[(text.IndexOf("BEGIN\r\n", StringComparison.Ordinal) + 7)..])];
    }

    private async Task<bool> AnswerAsync(Socket client, uint serial, string member)
    {
        var reply = member is "Hello" ? null : Script(member, serial);
        reply ??= new ScriptedReply(member switch
        {
            "Hello" => Return(serial, "s", Text(":1.1")),
            "AddMatch" => Return(serial, "", []),
            "ListActivatableNames" => Return(serial, "as", [0, 0, 0, 0]),
            "ListMachines" => Return(serial, "a(ssso)", Machines()),
            _ => Error(serial, "org.freedesktop.DBus.Error.UnknownMethod", member),
        });
        var cut = Math.Min(reply.CutAt, reply.Bytes.Length);
        await client.SendAsync(reply.Before, _stop.Token);
        await SendAsync(client, reply.Bytes.AsMemory(0, cut), reply.Files);
        return cut == reply.Bytes.Length;
    }

    private async Task SendAsync(Socket client, ReadOnlyMemory<byte> bytes, SafeFileHandle[] files)
    {
        if (files.Length > 0 && !bytes.IsEmpty)
        {
            PassedFiles.Send(client, bytes.Span[..1], files);
            bytes = bytes[1..];
        }
        await client.SendAsync(bytes, _stop.Token);
    }

    /// <summary>The next whole message of the client: its serial and member.</summary>
    private static bool TryTake(List<byte> bytes, out uint serial, out string member)
    {
        (serial, member) = (0, "");
        if (bytes.Count < 16)
        {
            return false;
        }
        var head = bytes.Take(16).ToArray();
        var fields = BinaryPrimitives.ReadInt32LittleEndian(head.AsSpan(12));
        var length = ((16 + fields + 7) / 8 * 8) + BinaryPrimitives.ReadInt32LittleEndian(head.AsSpan(4));
        if (bytes.Count < length)
        {
            return false;
        }
        serial = BinaryPrimitives.ReadUInt32LittleEndian(head.AsSpan(8));
        member = Member([.. bytes.Take(16 + fields)]);
        bytes.RemoveRange(0, length);
        return true;
    }

    /// <summary>The field of code 3: fields are a code, a signature of one character, and its value.</summary>
    private static string Member(ReadOnlySpan<byte> message)
    {
        for (var at = 16; at < message.Length;)
        {
            var (code, type) = (message[at], message[at + 2]);
            at += 4;
            var length = type == 'g' ? message[at] : BinaryPrimitives.ReadInt32LittleEndian(message[at..]);
            if (code == 3)
            {
                return Encoding.ASCII.GetString(message.Slice(at + 4, length));
            }
            at += type switch { (byte)'g' => length + 2, (byte)'u' => 4, _ => length + 5 };
            at = (at + 7) / 8 * 8;
        }
        return "";
    }

    private static byte[] Message(byte type, List<byte> fields, string signature, byte[] body, uint? bodyLength = null)
    {
        if (signature.Length > 0)
        {
            Field(fields, 8, "g", [(byte)signature.Length, .. Encoding.ASCII.GetBytes(signature), 0]);
        }
        byte[] head = [(byte)'l', type, 1, 1, .. BitConverter.GetBytes(bodyLength ?? (uint)body.Length), .. BitConverter.GetBytes(7u), .. BitConverter.GetBytes((uint)fields.Count), .. fields];
        return [.. head, .. new byte[(8 - (head.Length % 8)) % 8], .. body];
    }

    private static void Reply(List<byte> fields, uint replyTo)
    {
        Field(fields, 5, "u", BitConverter.GetBytes(replyTo));
        Field(fields, 6, "s", Text(":1.1"));
        Field(fields, 7, "s", Text("org.freedesktop.DBus"));
    }

    private static void Field(List<byte> fields, byte code, string signature, byte[] value)
    {
        while (fields.Count % 8 != 0)
        {
            fields.Add(0);
        }
        fields.AddRange([code, (byte)signature.Length, .. Encoding.ASCII.GetBytes(signature), 0, .. value]);
    }
}
