using System.Text;
using Mgmt.Cli.Formats;
using Mgmt.Core;
using Mgmt.Wire;

namespace Mgmt.Cli.Verbs;

/// <summary>The data frames of a call as a stream, up to the last frame.</summary>
internal sealed class FramedContent(FramedCall call, IProgress<CopyProgress>? progress, long total) : Stream
{
    private ReadOnlyMemory<byte> _rest;
    private string? _ending;
    private long _taken;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>Passes over what is left, and gives how many entries the daemon left out.</summary>
    public async Task<string> EndAsync(CancellationToken cancellationToken)
    {
        while (await NextAsync(cancellationToken))
        {
            _rest = default;
        }
        return KeyValues.OfLines(_ending!).Find("left_out") is { Length: > 0 } left ? left : "0";
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (buffer.IsEmpty || !await NextAsync(cancellationToken))
        {
            return 0;
        }
        var n = Math.Min(buffer.Length, _rest.Length);
        _rest[..n].CopyTo(buffer);
        _rest = _rest[n..];
        progress?.Report(new CopyProgress(_taken += n, total));
        return n;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    /// <summary>Whether there is data.</summary>
    private async ValueTask<bool> NextAsync(CancellationToken cancellationToken)
    {
        while (_rest.IsEmpty && _ending is null)
        {
            var frame = await call.ReadAsync(cancellationToken);
            _rest = frame.Type == ContentFrame.Data ? frame.Bytes : default;
            _ending = frame.Type == ContentFrame.End ? Encoding.UTF8.GetString(frame.Bytes.Span) : null;
        }
        return !_rest.IsEmpty;
    }
}
