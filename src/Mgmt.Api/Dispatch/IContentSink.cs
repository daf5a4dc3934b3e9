namespace Mgmt.Api;

/// <summary>Where a content is written that is sent while it is made. Once it has begun there is no other reply.</summary>
public interface IContentSink
{
    /// <summary>Whether the reply has begun.</summary>
    bool HasBegun { get; }

    /// <summary>Sends a piece, the first one after the mark of OK; waits while the caller takes nothing. Throws OperationCanceledException when the caller is gone.</summary>
    ValueTask SendAsync(ReadOnlyMemory<byte> piece, CancellationToken cancellation);
}

/// <summary>A sink that has the beginning of the reply written down before it goes out.</summary>
internal sealed class AuditedContent(IContentSink sink, Action beginning) : IContentSink
{
    /// <inheritdoc/>
    public bool HasBegun => sink.HasBegun;

    /// <inheritdoc/>
    public ValueTask SendAsync(ReadOnlyMemory<byte> piece, CancellationToken cancellation)
    {
        if (!sink.HasBegun)
        {
            beginning();
        }
        return sink.SendAsync(piece, cancellation);
    }
}
