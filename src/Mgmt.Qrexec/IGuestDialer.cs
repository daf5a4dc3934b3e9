namespace Mgmt.Qrexec;

/// <summary>Dials vchan ports of guests, whichever way their bytes go.</summary>
public interface IGuestDialer
{
    /// <summary>How calls over it are called in the audit log: <c>vchan-socket</c>, <c>vsock</c>.</summary>
    string Transport { get; }

    /// <summary>
    /// Connects to a port on which a guest listens, and waits for it to listen until the token ends. ERRORS: OperationCanceledException; IOException when it never will.
    /// </summary>
    Task<Stream> DialAsync(uint domain, uint port, CancellationToken cancellation);
}
