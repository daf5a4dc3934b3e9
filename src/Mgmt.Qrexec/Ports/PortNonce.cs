using System.Security.Cryptography;

namespace Mgmt.Qrexec;

/// <summary>What tells one conversation on a port from the others. SHAPE: 16 bytes; all zero announces an end that has just connected.</summary>
public readonly record struct PortNonce(UInt128 Value)
{
    /// <summary>The announcement.</summary>
    public static PortNonce None { get; } = new(0);

    /// <summary>Whether it announces, and begins nothing.</summary>
    public bool IsNone => Value == 0;

    /// <summary>Reads 16 bytes.</summary>
    public static PortNonce Read(ReadOnlySpan<byte> bytes) => new(System.Buffers.Binary.BinaryPrimitives.ReadUInt128LittleEndian(bytes));

    /// <summary>A new one that holds no mark.</summary>
    public static PortNonce New()
    {
        Span<byte> bytes = stackalloc byte[PortMark.NonceSize];
        RandomNumberGenerator.Fill(bytes);
        return Read(bytes);
    }

    /// <summary>Writes the 16 bytes.</summary>
    public void Write(Span<byte> bytes) => System.Buffers.Binary.BinaryPrimitives.WriteUInt128LittleEndian(bytes, Value);
}
