using System.Buffers;
using System.Buffers.Binary;

namespace Mgmt.Qrexec;

/// <summary>
/// What the next daemon has to know of an agent's control channel to go on with it: the version agreed on, the data ports that the agent has not given back, the calls that were neither accepted nor
/// refused, and the beginning of a message whose end has not come.
/// SHAPE: 1 u32 (of this shape), version u32, ports u32, idents u32, bytes u32, then that many ports (u32 each), idents (32 bytes each) and bytes; little-endian, and nothing after it.
/// </summary>
internal sealed record LinkState(int Version, IReadOnlyCollection<uint> Ports, IReadOnlyCollection<CallIdent> Unanswered, ReadOnlyMemory<byte> Unfinished)
{
    private const uint Shape = 1;
    private const int HeaderBytes = 20;

    /// <summary>Reads one; null for anything else, and the channel is then of no use.</summary>
    internal static LinkState? TryRead(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < HeaderBytes || Number(bytes, 0) != Shape || Number(bytes, 1) is var version && version is < Hello.Oldest or > Hello.Newest)
        {
            return null;
        }
        ulong ports = Number(bytes, 2), idents = Number(bytes, 3), unfinished = Number(bytes, 4);
        if ((ulong)bytes.Length != HeaderBytes + (4 * ports) + (CallIdent.Size * idents) + unfinished)
        {
            return null;
        }
        var taken = new List<uint>();
        var unanswered = new List<CallIdent>();
        var rest = bytes[HeaderBytes..];
        for (; ports > 0; ports--, rest = rest[4..])
        {
            taken.Add(Number(rest, 0));
        }
        for (; idents > 0; idents--, rest = rest[CallIdent.Size..])
        {
            if (CallIdent.TryParse(rest[..CallIdent.Size]) is not { } ident)
            {
                return null;
            }
            unanswered.Add(ident);
        }
        return taken.TrueForAll(DataPorts.Contains) ? new((int)version, taken, unanswered, rest.ToArray()) : null;
    }

    /// <summary>Its bytes.</summary>
    internal ReadOnlySpan<byte> ToBytes()
    {
        var output = new ArrayBufferWriter<byte>(256);
        foreach (var number in new[] { Shape, (uint)Version, (uint)Ports.Count, (uint)Unanswered.Count, (uint)Unfinished.Length }.Concat(Ports))
        {
            BinaryPrimitives.WriteUInt32LittleEndian(output.GetSpan(4), number);
            output.Advance(4);
        }
        foreach (var ident in Unanswered)
        {
            ident.Write(output.GetSpan(CallIdent.Size));
            output.Advance(CallIdent.Size);
        }
        output.Write(Unfinished.Span);
        return output.WrittenSpan;
    }

    private static uint Number(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[(4 * at)..]);
}
