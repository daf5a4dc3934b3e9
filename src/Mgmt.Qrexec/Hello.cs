using System.Buffers;
using System.Buffers.Binary;

namespace Mgmt.Qrexec;

/// <summary>The version a peer speaks. SHAPE: u32.</summary>
public readonly record struct Hello(uint Version)
{
    /// <summary>The newest version spoken here.</summary>
    public const uint Newest = 4;

    /// <summary>The oldest.</summary>
    public const uint Oldest = 2;

    /// <summary>Reads the body of a HELLO. ERRORS: QrexecProtocolException for a version below the oldest.</summary>
    public static Hello Parse(ReadOnlySpan<byte> body)
    {
        var version = body.Length == 4 ? BinaryPrimitives.ReadUInt32LittleEndian(body) : 0;
        return version >= Oldest ? new(version) : throw new QrexecProtocolException($"version {version}; {Oldest} is the oldest spoken here");
    }

    /// <summary>The version both speak.</summary>
    public int Agreed => (int)Math.Min(Version, Newest);

    /// <summary>Writes the whole message.</summary>
    public void Write(IBufferWriter<byte> output)
    {
        new MessageHeader(MessageType.Hello, 4).Write(output);
        BinaryPrimitives.WriteUInt32LittleEndian(output.GetSpan(4), Version);
        output.Advance(4);
    }
}
