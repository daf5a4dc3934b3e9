using System.Net.Sockets;

namespace Mgmt.Daemon;

/// <summary>
/// Our end of an accepted connection. A call whose request is there and whose reply fits needs the descriptor and nothing else; only
/// one that has to wait gets the framework's socket, and with it a place in the framework's event loop (docs/benchmarks.md).
/// </summary>
internal sealed class PeerSocket : IDisposable
{
    private readonly int _descriptor;
    private Socket? _waiting;
    private bool _isHandedOver;

    /// <summary>Owns a connected descriptor.</summary>
    internal PeerSocket(int descriptor) => _descriptor = descriptor;

    /// <summary>Owns a connection that the framework accepted.</summary>
    internal PeerSocket(Socket accepted) => (_descriptor, _waiting, _isHandedOver) = ((int)accepted.Handle, accepted, true);

    internal int Descriptor => _descriptor;

    /// <summary>Takes what has arrived: bytes, 0 at the end of input, negative when there is nothing yet or an error (which a waiting receive will tell).</summary>
    internal int ReceiveNow(Span<byte> buffer) => (int)Native.Receive(_descriptor, buffer, (nuint)buffer.Length, Native.DontWait);

    /// <summary>Sends what fits at once: bytes, negative when nothing fits or on an error (which a waiting send will tell).</summary>
    internal int SendNow(ReadOnlySpan<byte> bytes) => (int)Native.Send(_descriptor, bytes, (nuint)bytes.Length, Native.DontWait | Native.NoSignal);

    /// <summary>Waits for bytes; 0 is the end of input. ERRORS: SocketException, OperationCanceledException.</summary>
    internal ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellation) => Waiting().ReceiveAsync(buffer, SocketFlags.None, cancellation);

    /// <summary>Sends all bytes, waiting for room. ERRORS: SocketException, OperationCanceledException.</summary>
    internal async ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
    {
        while (bytes.Length > 0)
        {
            bytes = bytes[await Waiting().SendAsync(bytes, SocketFlags.None, cancellation)..];
        }
    }

    /// <summary>Tells the peer that nothing more will come.</summary>
    internal void EndSending() => Waiting().Shutdown(SocketShutdown.Send);

    /// <summary>Whether the peer closed both directions or is gone.</summary>
    internal unsafe bool HasHungUp()
    {
        var entry = new Native.PollFd { Fd = _descriptor };
        return Native.Poll(&entry, 1, 0) > 0 && (entry.Returned & Native.PollHangup) != 0;
    }

    /// <summary>Reads an option of the socket level: its length, or negative when the kernel has none.</summary>
    internal int Option(int name, Span<byte> value)
    {
        var length = (uint)value.Length;
        return Native.GetSocketOption(_descriptor, Native.SocketLevel, name, value, ref length) == 0 ? (int)length : -1;
    }

    public void Dispose()
    {
        if (!_isHandedOver)
        {
            _isHandedOver = true;
            Native.Close(_descriptor);
        }
        _waiting?.Dispose();
    }

    private Socket Waiting()
    {
        if (_waiting is null)
        {
            // Before the constructor: should it fail, the handle closes the descriptor, and nobody may do so twice.
            _isHandedOver = true;
            _waiting = new Socket(new SafeSocketHandle(_descriptor, ownsHandle: true));
        }
        return _waiting;
    }
}
