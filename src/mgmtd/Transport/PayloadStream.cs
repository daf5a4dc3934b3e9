using System.Net.Sockets;
using Mgmt.Core;

namespace Mgmt.Daemon;

/// <summary>A streamed payload: first what came together with the header, then the socket until its end.</summary>
internal sealed class PayloadStream(PeerSocket socket, ReadOnlyMemory<byte> first, TimeSpan idle) : Stream
{
    private ReadOnlyMemory<byte> _first = first;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_first.Length > 0)
        {
            var taken = Math.Min(buffer.Length, _first.Length);
            _first[..taken].CopyTo(buffer);
            _first = _first[taken..];
            return taken;
        }
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(idle);
        try
        {
            return await socket.ReceiveAsync(buffer, limit.Token);
        }
        catch (OperationCanceledException error) when (!cancellationToken.IsCancellationRequested)
        {
            throw new MgmtException(error, ErrorCode.MgmtTimeoutError, "No data for %s s in the middle of the payload", idle.TotalSeconds.ToString(System.Globalization.CultureInfo.InvariantCulture));
        }
        catch (SocketException error)
        {
            throw new MgmtException(error, ErrorCode.MgmtCancelledError, "The caller went away in the middle of the payload");
        }
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
