namespace Mgmt.Wire;

/// <summary>One call on its way to the daemon: bytes both ways. Disposing gives it up.</summary>
public abstract class CallConnection : IDisposable
{
    /// <summary>What has to be sent before the payload.</summary>
    public virtual ReadOnlyMemory<byte> Head => default;

    /// <summary>Sends some of the bytes: how many. ERRORS: IOException when the other end takes no more.</summary>
    public abstract ValueTask<int> SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken);

    /// <summary>
    /// Receives some bytes of the reply: how many, 0 at its end. ERRORS: IOException when the connection broke; what there is instead of a reply, by its code.
    /// </summary>
    public abstract ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken);

    /// <summary>Says that the payload is at its end. An other end that is gone already is no error: what it sent before tells more.</summary>
    public abstract void EndInput();

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Gives it up.</summary>
    protected abstract void Dispose(bool disposing);
}
