using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Threading.Channels;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Qrexec;

/// <summary>
/// This host's vsock socket for calls of guests. .NET knows no such addresses, so a thread waits for connections and asks the kernel whose each is. SOURCE: man 7 vsock.
/// </summary>
public sealed class VsockListener : IVsockListener, IDisposable
{
    /// <summary>The port: below 1024, so that no user of this host but root can stand in for the daemon while it is away.</summary>
    public const uint Port = 512;

    private const int Backlog = 64;
    private readonly SafeFileHandle _socket;
    private readonly SafeFileHandle _wake;
    private readonly Channel<(uint Cid, Stream Stream)> _accepted = Channel.CreateBounded<(uint, Stream)>(Backlog);
    private readonly Thread _thread;

    private VsockListener(SafeFileHandle socket, SafeFileHandle wake)
    {
        (_socket, _wake) = (socket, wake);
        _thread = new Thread(Run) { IsBackground = true, Name = "vsock" };
        _thread.Start();
    }

    /// <summary>Listens. ERRORS: IOException with a sentence about what is missing.</summary>
    public static VsockListener Open(uint port)
    {
        var socket = new SafeFileHandle(Libc.socket(Libc.AF_VSOCK, Libc.SOCK_STREAM | Libc.SOCK_CLOEXEC | Libc.SOCK_NONBLOCK, 0), ownsHandle: true);
        if (socket.IsInvalid)
        {
            throw Failed("no vsock socket can be made: the kernel needs the module vsock, and the daemon's unit AF_VSOCK in RestrictAddressFamilies=");
        }
        var address = new Libc.VsockAddress { Family = Libc.AF_VSOCK, Port = port, Cid = Libc.VMADDR_CID_ANY };
        if (Libc.bind(socket, address, Marshal.SizeOf<Libc.VsockAddress>()) < 0 || Libc.listen(socket, Backlog) < 0)
        {
            var failed = Failed($"vsock port {port} cannot be listened on: it takes CAP_NET_BIND_SERVICE, and nobody else who has the port");
            socket.Dispose();
            throw failed;
        }
        var wake = new SafeFileHandle(Libc.eventfd(0, Libc.EFD_CLOEXEC), ownsHandle: true);
        return wake.IsInvalid ? throw Failed("no eventfd can be made") : new VsockListener(socket, wake);
    }

    /// <inheritdoc/>
    public async Task<(uint Cid, Stream Stream)> AcceptAsync(CancellationToken cancellation)
    {
        try
        {
            return await _accepted.Reader.ReadAsync(cancellation);
        }
        catch (ChannelClosedException error)
        {
            throw new IOException("the vsock socket was closed", error);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_wake.IsClosed)
        {
            return;
        }
        _ = Libc.write(_wake, BitConverter.GetBytes(1UL), sizeof(ulong));
        _thread.Join();
        _socket.Dispose();
        _wake.Dispose();
    }

    private void Run()
    {
        // Both stay open until this thread has ended.
        var fds = new Libc.PollFd[] { new() { Fd = (int)_socket.DangerousGetHandle(), Events = Libc.POLLIN }, new() { Fd = (int)_wake.DangerousGetHandle(), Events = Libc.POLLIN } };
        while (true)
        {
            var count = Libc.poll(fds, (nuint)fds.Length, -1);
            if (count > 0 && fds[1].Revents != 0)
            {
                break;
            }
            if (count > 0 && fds[0].Revents != 0)
            {
                Accept();
            }
        }
        _accepted.Writer.Complete();
        while (_accepted.Reader.TryRead(out var left))
        {
            left.Stream.Dispose();
        }
    }

    private void Accept()
    {
        var length = Marshal.SizeOf<Libc.VsockAddress>();
        var fd = Libc.accept4(_socket, out var peer, ref length, Libc.SOCK_CLOEXEC);
        if (fd < 0)
        {
            // Gone again; or there is no descriptor left, and who waits is served when there is.
            Thread.Sleep(Marshal.GetLastPInvokeError() == Libc.EMFILE ? 100 : 0);
            return;
        }
        var stream = new VsockStream(new Socket(new SafeSocketHandle(fd, ownsHandle: true)));
        if (!_accepted.Writer.TryWrite((peer.Cid, stream)))
        {
            stream.Dispose();
        }
    }

    private static IOException Failed(string what) => new($"{what} ({Marshal.GetLastPInvokeErrorMessage()})");
}
