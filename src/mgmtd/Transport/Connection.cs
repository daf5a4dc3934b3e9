using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using Mgmt.Core;
using Mgmt.Wire;

namespace Mgmt.Daemon;

/// <summary>The bytes of one request: a header that ends with a NUL, then the payload until the end of input.</summary>
internal sealed class Connection : IDisposable
{
    private readonly TimeSpan _limit;
    private readonly CancellationToken _cancellation;
    private CancellationTokenSource? _deadline;
    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(RequestHeader.MaxHeaderBytes + 1);
    private int _filled;
    private int _headerLength = -1;

    internal Connection(PeerSocket socket, TimeSpan deadline, CancellationToken cancellation)
    {
        Socket = socket;
        _limit = deadline;
        _cancellation = cancellation;
    }

    internal PeerSocket Socket { get; }

    internal ArrayBufferWriter<byte> ReplyBuffer { get; } = new(256);

    /// <summary>Whether the peer's end of input was read: nothing of it can be left unread.</summary>
    internal bool EndReached { get; private set; }

    /// <summary>What came after the header.</summary>
    internal ReadOnlyMemory<byte> Payload => _buffer.AsMemory(_headerLength + 1, _filled - _headerLength - 1);

    /// <summary>Reads to the NUL. ERRORS: ProtocolError, MgmtTimeoutError.</summary>
    internal async ValueTask<ReadOnlyMemory<byte>> ReadHeaderAsync()
    {
        while (true)
        {
            var searched = _filled;
            if (!await FillAsync())
            {
                throw new MgmtException(ErrorCode.ProtocolError, _filled == 0 ? "empty request" : "Request header: end of input before its NUL");
            }
            var nul = _buffer.AsSpan(searched, _filled - searched).IndexOf((byte)0);
            if (nul >= 0)
            {
                _headerLength = searched + nul;
                return _buffer.AsMemory(0, _headerLength);
            }
            if (_filled > RequestHeader.MaxHeaderBytes)
            {
                throw new MgmtException(ErrorCode.ProtocolError, "Request header: no NUL within %s bytes", Text(RequestHeader.MaxHeaderBytes));
            }
        }
    }

    /// <summary>Reads the payload. ERRORS: ProtocolError over the cap, MgmtTimeoutError when the end does not come.</summary>
    internal async ValueTask ReadToEndAsync(int capBytes)
    {
        while (await FillAsync())
        {
            if (_filled > capBytes)
            {
                throw new MgmtException(ErrorCode.ProtocolError, "The request is longer than the %s bytes that this call takes", Text(capBytes));
            }
        }
    }

    /// <summary>The payload as a stream: what was read already, then the socket. A peer that is silent for the deadline ends it.</summary>
    internal PipeReader PayloadReader(TimeSpan idle) =>
        PipeReader.Create(new PayloadStream(Socket, Payload, idle), new StreamPipeReaderOptions(bufferSize: 256 * 1024, minimumReadSize: 64 * 1024));

    public void Dispose()
    {
        _deadline?.Dispose();
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = [];
    }

    /// <summary>A request has mostly arrived by the time it is looked at: what is there is taken without a timer or a wait.</summary>
    private ValueTask<bool> FillAsync()
    {
        if (_filled == _buffer.Length)
        {
            Grow();
        }
        var read = Socket.ReceiveNow(_buffer.AsSpan(_filled));
        return read >= 0 ? new(Took(read)) : WaitAndFillAsync();
    }

    private async ValueTask<bool> WaitAndFillAsync()
    {
        if (_deadline is null)
        {
            _deadline = CancellationTokenSource.CreateLinkedTokenSource(_cancellation);
            _deadline.CancelAfter(_limit);
        }
        try
        {
            return Took(await Socket.ReceiveAsync(_buffer.AsMemory(_filled), _deadline.Token));
        }
        catch (OperationCanceledException error) when (_cancellation.IsCancellationRequested)
        {
            throw new MgmtException(error, ErrorCode.MgmtCancelledError, "The daemon is shutting down");
        }
        catch (OperationCanceledException error)
        {
            throw new MgmtException(error, ErrorCode.MgmtTimeoutError, "The request did not end within %s s; close your side for writing after the payload", Text((int)_limit.TotalSeconds));
        }
    }

    private bool Took(int read)
    {
        _filled += read;
        EndReached = read == 0;
        return read > 0;
    }

    private void Grow()
    {
        var larger = ArrayPool<byte>.Shared.Rent(_buffer.Length * 2);
        _buffer.AsSpan(0, _filled).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = larger;
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
