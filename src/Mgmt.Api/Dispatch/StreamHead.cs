using System.Buffers;
using System.IO.Pipelines;
using System.Text;

namespace Mgmt.Api;

/// <summary>The line before a streamed payload. SHAPE: <c>LINE\n</c> and then the bytes of the payload, which are left in the stream.</summary>
internal static class StreamHead
{
    /// <summary>The line without its end, a character per byte; null when the stream ends before it does, or it is longer than <paramref name="capBytes"/>.</summary>
    internal static async ValueTask<string?> ReadAsync(PipeReader stream, int capBytes, CancellationToken cancellation)
    {
        while (true)
        {
            var read = await stream.ReadAsync(cancellation);
            if (read.Buffer.PositionOf((byte)'\n') is { } end)
            {
                var line = read.Buffer.Slice(0, end);
                var head = line.Length <= capBytes ? Encoding.Latin1.GetString(line) : null;
                stream.AdvanceTo(read.Buffer.GetPosition(1, end));
                return head;
            }
            var isOver = read.IsCompleted || read.IsCanceled || read.Buffer.Length > capBytes;
            stream.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            if (isOver)
            {
                return null;
            }
        }
    }
}
