using System.IO.Pipelines;
using Mgmt.Core;

namespace Mgmt.Wire;

/// <summary>A call under way whose content comes in frames, and which may take frames. Disposing ends it. SOURCE: docs/wire.md, "Framed contents".</summary>
public sealed class FramedCall(CallStream stream) : IAsyncDisposable
{
    private readonly PipeReader _reader = PipeReader.Create(stream, new StreamPipeReaderOptions(bufferSize: 64 * 1024));

    /// <summary>The next frame. ERRORS: MgmtUnavailableError when the connection ends before the last frame.</summary>
    public async Task<ContentFrame> ReadAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await ContentFrame.ReadAsync(_reader, cancellationToken) ?? throw Broken(null);
        }
        catch (Exception error) when (error is IOException or MgmtException { Code: ErrorCode.ProtocolError })
        {
            throw Broken(error);
        }
    }

    /// <summary>Sends a frame. A daemon that has ended the call takes none, and says why in its last frame.</summary>
    public async Task SendAsync(ContentFrame frame, CancellationToken cancellationToken)
    {
        try
        {
            await stream.WriteAsync(frame.ToArray(), cancellationToken);
        }
        catch (IOException)
        {
            // What was sent before is read; that tells more.
        }
    }

    /// <summary>Says that no more frames are sent.</summary>
    public void EndInput() => stream.EndInput();

    /// <summary>Ends the call.</summary>
    public async ValueTask DisposeAsync()
    {
        await _reader.CompleteAsync();
        await stream.DisposeAsync();
    }

    private static MgmtException Broken(Exception? error) => error is null
        ? new(ErrorCode.MgmtUnavailableError, "The daemon ended the connection in the middle")
        : new(error, ErrorCode.MgmtUnavailableError, "The daemon ended the connection in the middle");
}
