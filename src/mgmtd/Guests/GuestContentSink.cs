using Mgmt.Api;
using Mgmt.Qrexec;
using Mgmt.Wire;

namespace Mgmt.Daemon;

/// <summary>Writes a content to a caller in a guest while it is made; <paramref name="isMarked"/>: after the mark of OK.</summary>
internal sealed class GuestContentSink(GuestCall call, bool isMarked) : IContentSink
{
    public bool HasBegun { get; private set; }

    public async ValueTask SendAsync(ReadOnlyMemory<byte> piece, CancellationToken cancellation)
    {
        var begins = !HasBegun;
        HasBegun = true;
        if (begins && isMarked)
        {
            await call.WriteAsync(ReplyWriter.OkMark, cancellation);
        }
        if (!piece.IsEmpty)
        {
            await call.WriteAsync(piece, cancellation);
        }
    }
}
