namespace Mgmt.Wire;

/// <summary>A way to the daemon. Holds nothing between calls and may be used by many at once.</summary>
public interface ICallTransport
{
    /// <summary>Whether a call names who makes it; otherwise the other end knows, and the header's source is not sent.</summary>
    bool NamesSource { get; }

    /// <summary>Begins a call. ERRORS: MgmtUnavailableError (nobody there), ProtocolError (a header that cannot be sent).</summary>
    Task<CallConnection> ConnectAsync(RequestHeader header, CancellationToken cancellationToken);
}
