namespace Mgmt.Qrexec;

/// <summary>The host's listening vsock socket. The kernel says which guest a stream is from.</summary>
public interface IVsockListener
{
    /// <summary>The next stream and the CID at its other end. ERRORS: OperationCanceledException; IOException when none can be had any more.</summary>
    Task<(uint Cid, Stream Stream)> AcceptAsync(CancellationToken cancellation);
}
