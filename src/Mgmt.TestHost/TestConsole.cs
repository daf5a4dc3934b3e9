using System.IO.Pipelines;
using System.Text;
using Mgmt.Core;

namespace Mgmt.TestHost;

/// <summary>The console of a VM in memory: says whose it is, and then repeats what it is told.</summary>
internal sealed class TestConsole : Stream
{
    private readonly Pipe _pipe = new();
    private readonly Stream _reader;
    private readonly Stream _writer;
    private readonly Action _letGo;

    internal TestConsole(VmName name, Action letGo)
    {
        (_reader, _writer, _letGo) = (_pipe.Reader.AsStream(), _pipe.Writer.AsStream(), letGo);
        _writer.Write(Encoding.ASCII.GetBytes($"Console of {name.Value}\r\n"));
    }

    /// <inheritdoc/>
    public override bool CanRead => true;

    /// <inheritdoc/>
    public override bool CanSeek => false;

    /// <inheritdoc/>
    public override bool CanWrite => true;

    /// <inheritdoc/>
    public override long Length => throw new NotSupportedException();

    /// <inheritdoc/>
    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>The guest is gone: what it printed is read, and then the end.</summary>
    internal void End() => _pipe.Writer.Complete();

    /// <inheritdoc/>
    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => _reader.ReadAsync(buffer, cancellationToken);

    /// <inheritdoc/>
    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => _writer.WriteAsync(buffer, cancellationToken);

    /// <inheritdoc/>
    public override void Flush()
    {
    }

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void SetLength(long value) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        _letGo();
        base.Dispose(disposing);
    }
}
