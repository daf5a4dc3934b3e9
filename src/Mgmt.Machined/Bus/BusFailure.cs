namespace Mgmt.Machined.Bus;

/// <summary>How a call failed.</summary>
internal enum BusFailureKind
{
    /// <summary>It was never sent: nothing happened.</summary>
    NotSent,
    /// <summary>It was sent and nobody answered: what became of it is unknown.</summary>
    Unanswered,
    /// <summary>It was sent and the bus was lost before the answer: unknown likewise.</summary>
    Lost,
    /// <summary>An error came back; Name is its D-Bus name.</summary>
    Refused,
    /// <summary>The answer was not of the shape expected, or too big.</summary>
    BadReply,
}

/// <summary>Why there is no answer. Message is short and printable.</summary>
internal sealed record BusFailure(BusFailureKind Kind, string Name, string Message)
{
    private const int MessageChars = 200;

    /// <summary>A failure on our side of the bus.</summary>
    public static BusFailure Of(BusFailureKind kind, string message) => new(kind, "", message);

    /// <summary>
    /// An error reply. NoReply is what the bus says when the callee went away, and what sd-bus says after its timeout:
    /// in both cases the call may have been carried out.
    /// </summary>
    public static BusFailure FromError(string name, string message) => new(
        name == BusNames.NoReply ? BusFailureKind.Unanswered : BusFailureKind.Refused, name, Printable(message));

    private static string Printable(string text) =>
        string.Concat(text.Take(MessageChars).Select(c => char.IsControl(c) ? ' ' : c));
}
