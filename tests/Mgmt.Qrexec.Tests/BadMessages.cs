namespace Mgmt.Qrexec.Tests;

/// <summary>
/// Messages of every type and every length that matters, and what the protocol says of each: the table is written from the reference, not from the code. SOURCE: qrexec protocol, versions 2 to 4.
/// </summary>
internal static class BadMessages
{
    /// <summary>Those that there are, and three that there are not.</summary>
    internal static MessageType[] Types { get; } = [.. Enum.GetValues<MessageType>(), 0, (MessageType)0x999, (MessageType)uint.MaxValue];

    /// <summary>The shortest and the longest body of a type; null for a type that the version does not have.</summary>
    internal static (uint Min, uint Max)? Bounds(MessageType type, int version) => (uint)type switch
    {
        0x190 or 0x191 or 0x192 => (0, version < 3 ? 4096u : 65536u),
        0x193 or 0x300 => (4, 4),
        0x200 or 0x201 => (9, 8 + 65535),
        0x202 => (40, 40),
        0x203 => (32, 32),
        0x210 when version == 2 => (128, 128),
        0x211 => (8, 8),
        0x212 when version >= 3 => (97, 96 + 65000),
        0x213 when version >= 4 => (161, 160 + 65000),
        _ => null,
    };

    /// <summary>Lengths around the type's own, and those that no type has.</summary>
    internal static IEnumerable<uint> Lengths(MessageType type, int version)
    {
        var (min, max) = Bounds(type, version) ?? (4, 4);
        return new[] { 0u, 1u, min, max, max + 1, 1u << 31, uint.MaxValue }.Concat(min > 0 ? [min - 1] : []).Distinct();
    }

    /// <summary>A message of that length: whole where its type may have it, otherwise only the header and a few bytes, so that nobody waits for the rest.</summary>
    internal static byte[] Message(MessageType type, uint length, int version)
    {
        var isRight = Bounds(type, version) is { } bounds && length >= bounds.Min && length <= bounds.Max;
        byte[] body = isRight ? Body(type, (int)length) : new byte[Math.Min(length, 16)];
        return [.. BitConverter.GetBytes((uint)type), .. BitConverter.GetBytes(length), .. body];
    }

    /// <summary>A body that could not be better: versions that are spoken, a port that there is, an ident, a service that ends with its NUL.</summary>
    private static byte[] Body(MessageType type, int length)
    {
        byte[] known = type switch
        {
            MessageType.Hello => [4, 0, 0, 0],
            MessageType.ConnectionTerminated => [0, 0, 0, 0, 1, 2, 0, 0],
            MessageType.TriggerService => Messages.Trigger2("dom0", "S", "x"),
            MessageType.TriggerService3 => Messages.Trigger3("dom0", "S", new string('x', length - 97)),
            MessageType.TriggerService4 => Messages.Trigger4("", "dom0", "S", new string('x', length - 161)),
            _ => new byte[length],
        };
        return known;
    }
}
