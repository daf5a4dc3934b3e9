namespace Mgmt.Api;

/// <summary>A stream's sink that has the stream's opening written down before its first event goes out.</summary>
internal sealed class AuditedSink(IEventSink sink, Action opening) : IEventSink
{
    private bool _isOpen;

    /// <inheritdoc/>
    public ValueTask SendAsync(MgmtEvent happened, EventCursor? cursor, CancellationToken cancellation)
    {
        if (!_isOpen)
        {
            _isOpen = true;
            opening();
        }
        return sink.SendAsync(happened, cursor, cancellation);
    }

    /// <inheritdoc/>
    public ValueTask FlushAsync(CancellationToken cancellation) => sink.FlushAsync(cancellation);
}
