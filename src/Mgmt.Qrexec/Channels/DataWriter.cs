using System.Buffers;
using System.Buffers.Binary;

namespace Mgmt.Qrexec;

/// <summary>Writes the messages of a data channel. A body never holds a port's mark, which costs other transports nothing.</summary>
public static class DataWriter
{
    /// <summary>Writes bytes of a stream as messages of at most <paramref name="maxBody"/> bytes each; no bytes are no message.</summary>
    public static void Write(IBufferWriter<byte> output, MessageType type, ReadOnlySpan<byte> bytes, int maxBody)
    {
        while (!bytes.IsEmpty)
        {
            var piece = PortMark.Piece(bytes, maxBody);
            new MessageHeader(type, (uint)piece).Write(output);
            output.Write(bytes[..piece]);
            bytes = bytes[piece..];
        }
    }

    /// <summary>Writes the end of a stream.</summary>
    public static void WriteEnd(IBufferWriter<byte> output, MessageType type) => new MessageHeader(type, 0).Write(output);

    /// <summary>Writes how the service ended, the last message of all.</summary>
    public static void WriteExitCode(IBufferWriter<byte> output, int code)
    {
        new MessageHeader(MessageType.DataExitCode, sizeof(int)).Write(output);
        BinaryPrimitives.WriteInt32LittleEndian(output.GetSpan(sizeof(int)), code);
        output.Advance(sizeof(int));
    }

    /// <summary>Writes what begins a conversation on a port.</summary>
    public static void WritePreamble(IBufferWriter<byte> output, PortNonce nonce)
    {
        output.Write(PortMark.Bytes);
        nonce.Write(output.GetSpan(PortMark.NonceSize));
        output.Advance(PortMark.NonceSize);
    }
}
