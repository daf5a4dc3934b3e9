using System.IO.Pipelines;
using System.Net.Sockets;
using Mgmt.Core;

namespace Mgmt.Wire;

/// <summary>A call under way whose content comes in frames, and which may take frames. SOURCE: docs/wire.md, "Framed contents".</summary>
public sealed class FramedCall : IAsyncDisposable
{
    private readonly Socket _socket;
    private readonly PipeReader _reader;

    internal FramedCall(Socket socket)
    {
        _socket = socket;
        _reader = PipeReader.Create(new SocketBytes(socket), new StreamPipeReaderOptions(bufferSize: 64 * 1024));
    }

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
            for (ReadOnlyMemory<byte> bytes = frame.ToArray(); !bytes.IsEmpty;)
            {
                bytes = bytes[await _socket.SendAsync(bytes, SocketFlags.None, cancellationToken)..];
            }
        }
        catch (SocketException)
        {
            // What was sent before is read; that tells more.
        }
    }

    /// <summary>Says that no more frames are sent.</summary>
    public void EndInput()
    {
        try
        {
            _socket.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            // As above.
        }
    }

    /// <summary>Ends the call.</summary>
    public async ValueTask DisposeAsync()
    {
        await _reader.CompleteAsync();
        _socket.Dispose();
    }

    private static MgmtException Broken(Exception? error) => error is null
        ? new(ErrorCode.MgmtUnavailableError, "The daemon ended the connection in the middle")
        : new(error, ErrorCode.MgmtUnavailableError, "The daemon ended the connection in the middle");
}
