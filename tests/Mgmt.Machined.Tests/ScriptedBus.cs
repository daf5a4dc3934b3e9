using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;

namespace Mgmt.Machined.Tests;

/// <summary>
/// A bus and every peer on it, in one: it lets a client in, answers what the bus itself is asked, and answers ListMachines as a script says. SOURCE: D-Bus specification,
/// "Message Protocol"; little endian.
/// </summary>
internal sealed class ScriptedBus : IAsyncDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("mgmt-bus-").FullName;
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly CancellationTokenSource _stop = new();
    private readonly Func<uint, byte[]> _answer;
    private readonly int _cutAt;
    private readonly Task _serving;

    /// <summary><paramref name="answer"/>: the whole message that answers ListMachines of that serial, empty for none. After <paramref name="cutAt"/> bytes of it the connection ends.</summary>
    public ScriptedBus(Func<uint, byte[]> answer, int cutAt = int.MaxValue)
    {
        (_answer, _cutAt) = (answer, cutAt);
        _listener.Bind(new UnixDomainSocketEndPoint(Path.Combine(_directory, "bus")));
        _listener.Listen();
        _serving = ServeAsync();
    }

    public string Address => $"unix:path={_directory}/bus";

    /// <summary>A method return with that body.</summary>
    public static byte[] Return(uint serial, string signature, byte[] body) => Message(2, serial, signature, body, (uint)body.Length);

    /// <summary>As Return, with a length of the body of the caller's choice.</summary>
    public static byte[] Message(byte type, uint replyTo, string signature, byte[] body, uint bodyLength)
    {
        var fields = new List<byte>();
        Field(fields, 5, "u", BitConverter.GetBytes(replyTo));
        Field(fields, 6, "s", Text(":1.1"));
        Field(fields, 7, "s", Text("org.freedesktop.DBus"));
        if (signature.Length > 0)
        {
            Field(fields, 8, "g", [(byte)signature.Length, .. Encoding.ASCII.GetBytes(signature), 0]);
        }
        byte[] head = [(byte)'l', type, 1, 1, .. BitConverter.GetBytes(bodyLength), .. BitConverter.GetBytes(7u), .. BitConverter.GetBytes((uint)fields.Count), .. fields];
        return [.. head, .. new byte[(8 - (head.Length % 8)) % 8], .. body];
    }

    /// <summary>An array of <c>(ssso)</c>.</summary>
    public static byte[] Machines(params string[] names)
    {
        var array = new List<byte>();
        foreach (var name in names)
        {
            Align(array, 8);
            foreach (var text in new[] { name, "container", "test", "/m" })
            {
                Align(array, 4);
                array.AddRange(Text(text));
            }
        }
        return [.. BitConverter.GetBytes((uint)array.Count), 0, 0, 0, 0, .. array];
    }

    public static byte[] Text(string text) => [.. BitConverter.GetBytes((uint)text.Length), .. Encoding.UTF8.GetBytes(text), 0];

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
            var text = "";
            while (!text.EndsWith("BEGIN\r\n", StringComparison.Ordinal) && await client.ReceiveAsync(buffer, _stop.Token) is > 0 and var n)
            {
                // sd-bus sends AUTH, NEGOTIATE_UNIX_FD and BEGIN together.
                text += Encoding.ASCII.GetString(buffer, 0, n);
                if (text.Contains("BEGIN\r\n", StringComparison.Ordinal))
                {
                    break;
                }
            }
            await client.SendAsync("DATA\r\nOK 0123456789abcdef0123456789abcdef\r\nAGREE_UNIX_FD\r\n"u8.ToArray(), _stop.Token);
            var rest = Encoding.Latin1.GetBytes(text[(text.IndexOf("BEGIN\r\n", StringComparison.Ordinal) + 7)..]).ToList();
            do
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
            while (true);
        }
        catch (SocketException)
        {
            // The client went away.
        }
    }

    private async Task<bool> AnswerAsync(Socket client, uint serial, string member)
    {
        var answer = member switch
        {
            "Hello" => Return(serial, "s", Text(":1.1")),
            "AddMatch" => Return(serial, "", []),
            "ListActivatableNames" => Return(serial, "as", [0, 0, 0, 0]),
            "ListMachines" => _answer(serial),
            _ => Message(3, serial, "", [], 0),
        };
        var cut = member == "ListMachines" && _cutAt < answer.Length;
        await client.SendAsync(cut ? answer.AsMemory(0, _cutAt) : answer, _stop.Token);
        return !cut;
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
        var all = Encoding.Latin1.GetString([.. bytes.Take(16 + fields)]);
        member = new[] { "Hello", "AddMatch", "ListActivatableNames", "ListMachines" }.FirstOrDefault(name => all.Contains(name + "\0", StringComparison.Ordinal)) ?? "";
        bytes.RemoveRange(0, length);
        return true;
    }

    private static void Field(List<byte> fields, byte code, string signature, byte[] value)
    {
        Align(fields, 8);
        fields.AddRange([code, (byte)signature.Length, .. Encoding.ASCII.GetBytes(signature), 0]);
        if (signature != "g")
        {
            Align(fields, 4);
        }
        fields.AddRange(value);
    }

    private static void Align(List<byte> bytes, int to)
    {
        while (bytes.Count % to != 0)
        {
            bytes.Add(0);
        }
    }
}
