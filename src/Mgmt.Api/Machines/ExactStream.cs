using System.Globalization;

namespace Mgmt.Api;

/// <summary>The bytes of a stream that has to have exactly so many: fewer and more are ProtocolErrors.</summary>
internal sealed class ExactStream : Stream
{
    private readonly Stream _inner;
    private readonly long _bytes;
    private long _left;

    public ExactStream(Stream inner, long bytes) => (_inner, _bytes, _left) = (inner, bytes, bytes);

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>Reads over what is left; ERRORS: ProtocolError when it is another number of bytes than was said.</summary>
    public async Task RequireEndAsync(CancellationToken cancellation)
    {
        var buffer = new byte[4096];
        while (await ReadAsync(buffer, cancellation) > 0)
        {
        }
        if (await _inner.ReadAsync(buffer, cancellation) > 0)
        {
            throw Wrong("more");
        }
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_left == 0 || buffer.IsEmpty)
        {
            return 0;
        }
        var read = await _inner.ReadAsync(buffer[..(int)Math.Min(buffer.Length, _left)], cancellationToken);
        if (read == 0)
        {
            throw Wrong("fewer");
        }
        _left -= read;
        return read;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    private MgmtException Wrong(string which) => new(ErrorCode.ProtocolError, "the payload has %s bytes than the %s that its first line says", which, _bytes.ToString(CultureInfo.InvariantCulture));
}
