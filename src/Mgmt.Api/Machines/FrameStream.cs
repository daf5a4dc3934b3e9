using System.Text;

namespace Mgmt.Api;

/// <summary>A stream whose bytes go out as data frames.</summary>
internal sealed class FrameStream(IContentSink output) : Stream
{
    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>A frame of text.</summary>
    public static ValueTask SendAsync(IContentSink output, byte type, string text, CancellationToken cancellation) =>
        output.SendAsync(new ContentFrame(type, Encoding.UTF8.GetBytes(text)).ToArray(), cancellation);

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        for (; !buffer.IsEmpty; buffer = buffer[Math.Min(buffer.Length, ContentFrame.MaxBytes)..])
        {
            await output.SendAsync(new ContentFrame(ContentFrame.Data, buffer[..Math.Min(buffer.Length, ContentFrame.MaxBytes)]).ToArray(), cancellationToken);
        }
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override void Flush()
    {
    }

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}
