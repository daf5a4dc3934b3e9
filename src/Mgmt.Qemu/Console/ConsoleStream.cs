using System.Net.Sockets;

namespace Mgmt.Qemu;

/// <summary>A console that somebody has: first what was printed before, then the socket. Disposing gives it back.</summary>
internal sealed class ConsoleStream(NetworkStream socket, ReadOnlyMemory<byte> before, Func<Task> letGo) : Stream
{
    private ReadOnlyMemory<byte> _before = before;
    private bool _isOver;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_before.IsEmpty)
        {
            return await socket.ReadAsync(buffer, cancellationToken);
        }
        var taken = Math.Min(buffer.Length, _before.Length);
        _before[..taken].CopyTo(buffer);
        _before = _before[taken..];
        return taken;
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => socket.WriteAsync(buffer, cancellationToken);

    public override async ValueTask DisposeAsync()
    {
        if (!_isOver)
        {
            _isOver = true;
            await socket.DisposeAsync();
            await letGo();
        }
        await base.DisposeAsync();
    }

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
