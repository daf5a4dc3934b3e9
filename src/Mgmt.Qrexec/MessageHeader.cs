using System.Buffers;
using System.Buffers.Binary;

namespace Mgmt.Qrexec;

/// <summary>What stands before every message. SHAPE: type u32, length of the body u32, both little-endian.</summary>
public readonly record struct MessageHeader(MessageType Type, uint Length)
{
    /// <summary>Bytes of a header.</summary>
    public const int Size = 8;

    /// <summary>The longest body of a data message, from version 3 on.</summary>
    public const uint MaxDataLength = 65536;

    /// <summary>The longest body of a data message in version 2.</summary>
    public const uint MaxDataLengthV2 = 4096;

    /// <summary>The longest command line with its NUL.</summary>
    public const uint MaxCommandLength = 65535;

    /// <summary>The longest service name and argument with their NUL.</summary>
    public const uint MaxServiceLength = 65000;

    /// <summary>
    /// Reads a header and checks that a body of that type may have that length in that version, before anything is allocated for it.
    /// Null: fewer than 8 bytes. ERRORS: QrexecProtocolException.
    /// </summary>
    public static MessageHeader? TryRead(ReadOnlySpan<byte> bytes, int version)
    {
        if (bytes.Length < Size)
        {
            return null;
        }
        var header = new MessageHeader((MessageType)BinaryPrimitives.ReadUInt32LittleEndian(bytes), BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]));
        var (min, max) = header.Bounds(version);
        return header.Length >= min && header.Length <= max
            ? header
            : throw new QrexecProtocolException($"a body of {header.Length} bytes for {header.Type}, which takes {min} to {max}");
    }

    /// <summary>Writes the header.</summary>
    public void Write(IBufferWriter<byte> output)
    {
        var span = output.GetSpan(Size);
        BinaryPrimitives.WriteUInt32LittleEndian(span, (uint)Type);
        BinaryPrimitives.WriteUInt32LittleEndian(span[4..], Length);
        output.Advance(Size);
    }

    private (uint Min, uint Max) Bounds(int version) => Type switch
    {
        MessageType.DataStdin or MessageType.DataStdout or MessageType.DataStderr => (0, version < 3 ? MaxDataLengthV2 : MaxDataLength),
        MessageType.DataExitCode or MessageType.Hello => (4, 4),
        MessageType.ExecCommandLine or MessageType.JustExec => (ExecParameters.FixedSize + 1, ExecParameters.FixedSize + MaxCommandLength),
        MessageType.ServiceConnect => (ExecParameters.FixedSize + CallIdent.Size, ExecParameters.FixedSize + CallIdent.Size),
        MessageType.ServiceRefused => (CallIdent.Size, CallIdent.Size),
        MessageType.ConnectionTerminated => (ExecParameters.FixedSize, ExecParameters.FixedSize),
        MessageType.TriggerService when version == 2 => (TriggerService.SizeV2, TriggerService.SizeV2),
        MessageType.TriggerService3 when version >= 3 => (TriggerService.FixedSizeV3 + 1, TriggerService.FixedSizeV3 + MaxServiceLength),
        MessageType.TriggerService4 when version >= 4 => (TriggerService.FixedSizeV4 + 1, TriggerService.FixedSizeV4 + MaxServiceLength),
        _ => throw new QrexecProtocolException($"message type 0x{(uint)Type:x} in version {version}"),
    };
}
