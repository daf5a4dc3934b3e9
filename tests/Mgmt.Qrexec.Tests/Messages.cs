using System.Buffers;
using System.Text;

namespace Mgmt.Qrexec.Tests;

/// <summary>Messages as a guest writes them.</summary>
internal static class Messages
{
    internal static byte[] Of(MessageType type, params byte[] body) => [.. BitConverter.GetBytes((uint)type), .. BitConverter.GetBytes((uint)body.Length), .. body];

    internal static byte[] Hello(uint version) => Of(MessageType.Hello, BitConverter.GetBytes(version));

    internal static byte[] Trigger2(string target, string ident, string service) => [.. Field(service, 64), .. Field(target, 32), .. Field(ident, 32)];

    internal static byte[] Trigger3(string target, string ident, string service) => [.. Field(target, 64), .. Field(ident, 32), .. Encoding.ASCII.GetBytes(service + "\0")];

    internal static byte[] Trigger4(string source, string target, string ident, string service) => [.. Field(source, 64), .. Trigger3(target, ident, service)];

    internal static byte[] Terminated(uint domain, uint port) => Of(MessageType.ConnectionTerminated, [.. BitConverter.GetBytes(domain), .. BitConverter.GetBytes(port)]);

    internal static byte[] Written(Action<ArrayBufferWriter<byte>> write)
    {
        var output = new ArrayBufferWriter<byte>();
        write(output);
        return output.WrittenSpan.ToArray();
    }

    private static byte[] Field(string text, int size)
    {
        var field = new byte[size];
        Encoding.ASCII.GetBytes(text, field);
        return field;
    }
}
