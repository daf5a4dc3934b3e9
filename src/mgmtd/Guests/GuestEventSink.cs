using System.Buffers;
using Mgmt.Api;
using Mgmt.Core;
using Mgmt.Qrexec;
using Mgmt.Wire;

namespace Mgmt.Daemon;

/// <summary>Writes events to a subscriber in a guest, gathered until the stream says flush.</summary>
internal sealed class GuestEventSink(GuestCall call) : IEventSink
{
    private const int FlushAtBytes = 64 * 1024;
    private readonly ArrayBufferWriter<byte> _pending = new(1024);

    /// <summary>What was not flushed when the stream ended.</summary>
    internal ReadOnlyMemory<byte> Rest => _pending.WrittenMemory;

    public ValueTask SendAsync(MgmtEvent happened, EventCursor? cursor, CancellationToken cancellation)
    {
        ReplyWriter.WriteEvent(_pending, happened, cursor is { } position ? [new("cursor", position.ToString())] : []);
        return _pending.WrittenCount >= FlushAtBytes ? FlushAsync(cancellation) : ValueTask.CompletedTask;
    }

    public async ValueTask FlushAsync(CancellationToken cancellation)
    {
        if (_pending.WrittenCount > 0)
        {
            await call.WriteAsync(_pending.WrittenMemory, cancellation);
            _pending.ResetWrittenCount();
        }
    }
}
