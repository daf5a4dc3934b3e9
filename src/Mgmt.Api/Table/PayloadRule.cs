namespace Mgmt.Api;

/// <summary>Whether a call takes a payload, its shape in one line for the documentation, and its cap in bytes.</summary>
public sealed record PayloadRule
{
    /// <summary>The cap of a request, header and payload together, unless the row says more.</summary>
    public const int DefaultCapBytes = 64 * 1024;

    private PayloadRule(string? shape, PayloadKind kind, int capBytes)
    {
        Shape = shape;
        Kind = kind;
        CapBytes = capBytes;
    }

    /// <summary>No payload.</summary>
    public static PayloadRule None { get; } = new(null, PayloadKind.None, DefaultCapBytes);

    /// <summary>What it looks like; null when none is taken.</summary>
    public string? Shape { get; }

    /// <summary>Whether it is taken, needed or streamed.</summary>
    public PayloadKind Kind { get; }

    /// <summary>The most bytes the request may have, header included; streams have their own measure.</summary>
    public int CapBytes { get; }

    /// <summary>A payload that must not be empty.</summary>
    public static PayloadRule Required(string shape, int capBytes = DefaultCapBytes) => new(shape, PayloadKind.Required, capBytes);

    /// <summary>A payload that may be empty.</summary>
    public static PayloadRule Optional(string shape, int capBytes = DefaultCapBytes) => new(shape, PayloadKind.Optional, capBytes);

    /// <summary>Of a stream: the most bytes of the line before it, which is read before the policy is asked; 0 when there is none.</summary>
    public int HeadBytes { get; private init; }

    /// <summary>A payload that is handed to the call as it arrives, after a first line of at most <paramref name="headBytes"/>.</summary>
    public static PayloadRule Streamed(string shape, int headBytes = 0) => new(shape, PayloadKind.Stream, 0) { HeadBytes = headBytes };

    /// <summary>Checks presence. ERRORS: ProtocolError, to today's clients in the words they know.</summary>
    public void Check(int bytes, bool mgmt)
    {
        if (bytes > 0 && Kind == PayloadKind.None)
        {
            throw new MgmtException(ErrorCode.ProtocolError, "unexpected payload");
        }
        if (bytes == 0 && Kind == PayloadKind.Required)
        {
            throw mgmt ? new MgmtException(ErrorCode.ProtocolError, "expected payload (%s)", Shape!) : new MgmtException(ErrorCode.ProtocolError, "expected payload");
        }
    }
}

/// <summary>Whether a payload is taken.</summary>
public enum PayloadKind
{
    /// <summary>Not taken.</summary>
    None,
    /// <summary>Taken, may be empty.</summary>
    Optional,
    /// <summary>Taken, must not be empty.</summary>
    Required,
    /// <summary>Handed to the call as it arrives.</summary>
    Stream,
}
