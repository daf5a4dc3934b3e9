using System.ComponentModel;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Mgmt.Daemon;

/// <summary>
/// Where one thread waits for connections of a listening socket that several threads share. Each has an epoll instance that is woken
/// exclusively (EPOLLEXCLUSIVE): one connection wakes one thread. SOURCE: epoll_ctl(2).
/// </summary>
internal sealed class ConnectionQueue : IDisposable
{
    private const int Add = 1; // EPOLL_CTL_ADD
    private const uint Readable = 0x1; // EPOLLIN
    private const uint Exclusive = 1u << 28; // EPOLLEXCLUSIVE
    /// <summary>A caller often comes again at once: to look again a few times costs less than to be woken (docs/benchmarks.md, one client).</summary>
    private const int LooksBeforeSleep = 10;

    private readonly Socket _listening;
    private readonly int _epoll;
    private readonly int _bell;
    private volatile bool _isClosed;

    /// <summary>ERRORS: Win32Exception.</summary>
    internal ConnectionQueue(Socket listening)
    {
        _listening = listening;
        _listening.Blocking = false;
        _epoll = Checked(Native.EpollCreate(Native.EpollCloseOnExec));
        _bell = Checked(Native.EventFd(0, Native.EventFdCloseOnExec));
        Watch((int)listening.Handle, Readable | Exclusive);
        Watch(_bell, Readable);
    }

    /// <summary>The next connection, or null once the queue is closed. Blocks the thread. ERRORS: SocketException, the queue goes on.</summary>
    internal PeerSocket? Take()
    {
        Span<byte> woken = stackalloc byte[16];
        for (var looks = 0; !_isClosed;)
        {
            var descriptor = Native.Accept((int)_listening.Handle, 0, 0, Native.AcceptCloseOnExec | Native.AcceptNonBlocking);
            if (descriptor >= 0)
            {
                return new PeerSocket(descriptor);
            }
            var errno = Marshal.GetLastPInvokeError();
            if (errno == Native.WouldBlock && looks++ < LooksBeforeSleep)
            {
                Thread.Yield();
            }
            else if (errno == Native.WouldBlock)
            {
                looks = 0;
                Native.EpollWait(_epoll, woken, 1, -1);
            }
            else if (errno is not (Native.Interrupted or Native.ConnectionAborted))
            {
                throw new SocketException(errno);
            }
        }
        return null;
    }

    /// <summary>Ends the wait of the thread that takes, from any thread.</summary>
    internal void Close()
    {
        _isClosed = true;
        Native.Write(_bell, BitConverter.GetBytes(1UL), sizeof(ulong));
    }

    /// <summary>After the thread that takes has ended.</summary>
    public void Dispose()
    {
        Native.Close(_epoll);
        Native.Close(_bell);
    }

    private void Watch(int descriptor, uint events)
    {
        // struct epoll_event: the events, then data that is not used here; packed on some machines, padded to 16 bytes on others.
        Span<byte> watched = stackalloc byte[16];
        MemoryMarshal.Write(watched, events);
        Checked(Native.EpollControl(_epoll, Add, descriptor, watched));
    }

    private static int Checked(int result) => result >= 0 ? result : throw new Win32Exception(Marshal.GetLastPInvokeError());
}
