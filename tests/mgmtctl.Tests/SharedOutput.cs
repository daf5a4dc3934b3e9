using System.Text;

namespace Mgmt.Cli.Tests;

/// <summary>What was written, for one who waits for some of it.</summary>
internal sealed class SharedOutput : MemoryStream
{
    private readonly Lock _gate = new();
    private TaskCompletionSource _written = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        lock (_gate)
        {
            base.Write(buffer.ToArray(), 0, buffer.Length);
            _written.TrySetResult();
            _written = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
    {
        Write(buffer.AsSpan(offset, count));
        return Task.CompletedTask;
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Write(buffer.Span);
        return ValueTask.CompletedTask;
    }

    public override byte[] ToArray()
    {
        lock (_gate)
        {
            return base.ToArray();
        }
    }

    public async Task UntilAsync(string text, CancellationToken token)
    {
        while (true)
        {
            Task written;
            lock (_gate)
            {
                if (Encoding.UTF8.GetString(base.ToArray()).Contains(text, StringComparison.Ordinal))
                {
                    return;
                }
                written = _written.Task;
            }
            await written.WaitAsync(token);
        }
    }
}
