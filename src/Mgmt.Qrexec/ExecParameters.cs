using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Mgmt.Qrexec;

/// <summary>
/// Where a data channel is, and for some messages what to run on it. SHAPE: domain u32, port u32, then a command line that ends with a NUL
/// (EXEC_CMDLINE, JUST_EXEC), an ident (SERVICE_CONNECT) or nothing (CONNECTION_TERMINATED).
/// </summary>
public static class ExecParameters
{
    /// <summary>Bytes of domain and port.</summary>
    public const int FixedSize = 8;

    /// <summary>Reads domain and port of a CONNECTION_TERMINATED. ERRORS: QrexecProtocolException.</summary>
    public static (uint Domain, uint Port) ParseTerminated(ReadOnlySpan<byte> body) => body.Length == FixedSize
        ? (BinaryPrimitives.ReadUInt32LittleEndian(body), BinaryPrimitives.ReadUInt32LittleEndian(body[4..]))
        : throw new QrexecProtocolException($"CONNECTION_TERMINATED of {body.Length} bytes");

    /// <summary>Writes a whole SERVICE_CONNECT.</summary>
    public static void WriteConnect(IBufferWriter<byte> output, uint domain, uint port, CallIdent ident)
    {
        new MessageHeader(MessageType.ServiceConnect, FixedSize + CallIdent.Size).Write(output);
        WriteFixed(output, domain, port);
        ident.Write(output.GetSpan(CallIdent.Size));
        output.Advance(CallIdent.Size);
    }

    /// <summary>Writes a whole SERVICE_REFUSED.</summary>
    public static void WriteRefused(IBufferWriter<byte> output, CallIdent ident)
    {
        new MessageHeader(MessageType.ServiceRefused, CallIdent.Size).Write(output);
        ident.Write(output.GetSpan(CallIdent.Size));
        output.Advance(CallIdent.Size);
    }

    /// <summary>Writes a whole EXEC_CMDLINE or JUST_EXEC. ERRORS: ArgumentException for a command line that is too long or holds a NUL.</summary>
    public static void WriteExec(IBufferWriter<byte> output, MessageType type, uint domain, uint port, string commandLine)
    {
        var bytes = Encoding.UTF8.GetByteCount(commandLine) + 1;
        if (bytes > MessageHeader.MaxCommandLength || commandLine.Contains('\0', StringComparison.Ordinal))
        {
            throw new ArgumentException("command line too long, or with a NUL", nameof(commandLine));
        }
        new MessageHeader(type, (uint)(FixedSize + bytes)).Write(output);
        WriteFixed(output, domain, port);
        var span = output.GetSpan(bytes);
        span[Encoding.UTF8.GetBytes(commandLine, span)] = 0;
        output.Advance(bytes);
    }

    private static void WriteFixed(IBufferWriter<byte> output, uint domain, uint port)
    {
        var span = output.GetSpan(FixedSize);
        BinaryPrimitives.WriteUInt32LittleEndian(span, domain);
        BinaryPrimitives.WriteUInt32LittleEndian(span[4..], port);
        output.Advance(FixedSize);
    }
}
