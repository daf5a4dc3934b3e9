using System.Runtime.InteropServices;

namespace Mgmt.Qemu;

/// <summary>The calls of the C library that .NET has no counterpart for. Linux only. All give -1 and errno, or an errno, on failure.</summary>
internal static partial class Libc
{
    public const int F_DUPFD_CLOEXEC = 1030, F_GETFL = 3, F_ADD_SEALS = 1033, F_SEAL_SEAL = 1, F_SEAL_SHRINK = 2, F_SEAL_GROW = 4;
    public const int O_ACCMODE = 3, O_RDONLY = 0;
    public const uint MFD_CLOEXEC = 1, MFD_ALLOW_SEALING = 2;
    public const int AF_UNIX = 1, SOCK_STREAM = 1, SOCK_CLOEXEC = 0x80000;
    public const int SIGKILL = 9, P_PIDFD = 3, WEXITED = 4, WNOHANG = 1;
    public const short POLLIN = 1;
    public const short POSIX_SPAWN_SETSID = 0x80, POSIX_SPAWN_SETSIGMASK = 8, POSIX_SPAWN_SETSIGDEF = 4;
    public const int EINTR = 4, ESRCH = 3;
    public const int SOL_SOCKET = 1, SCM_RIGHTS = 1, MSG_DONTWAIT = 0x40, MSG_NOSIGNAL = 0x4000;

    [StructLayout(LayoutKind.Sequential)]
    public struct PollFd
    {
        public int Fd;
        public short Events;
        public short Revents;
    }

    [LibraryImport("libc", SetLastError = true)]
    public static partial int fcntl(int fd, int command, nint argument);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int close(int fd);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int poll([In, Out] PollFd[] fds, nuint count, int milliseconds);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int pidfd_open(int pid, uint flags);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int pidfd_send_signal(PidFd pidfd, int signal, nint info, uint flags);

    /// <summary><paramref name="info"/> is a siginfo_t, 128 bytes.</summary>
    [LibraryImport("libc", SetLastError = true)]
    public static partial int waitid(int type, uint id, [Out] byte[] info, int options);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int eventfd(uint initial, int flags);

    [LibraryImport("libc", SetLastError = true)]
    public static partial nint read(int fd, [Out] byte[] buffer, nuint count);

    [LibraryImport("libc", SetLastError = true)]
    public static partial nint write(int fd, byte[] buffer, nuint count);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int memfd_create(string name, uint flags);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int socket(int domain, int type, int protocol);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int socketpair(int domain, int type, int protocol, [Out] int[] both);

    /// <summary><paramref name="message"/> is a struct msghdr.</summary>
    [LibraryImport("libc", SetLastError = true)]
    public static partial nint sendmsg(int socket, nint message, int flags);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int bind(int socket, byte[] address, uint length);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int listen(int socket, int backlog);

    // The three buffers are opaque: 512 bytes is more than any libc's posix_spawnattr_t (336) or file_actions_t (80).
    [LibraryImport("libc")]
    public static partial int posix_spawn_file_actions_init(byte[] actions);

    [LibraryImport("libc")]
    public static partial int posix_spawn_file_actions_adddup2(byte[] actions, int from, int to);

    [LibraryImport("libc")]
    public static partial int posix_spawn_file_actions_destroy(byte[] actions);

    [LibraryImport("libc")]
    public static partial int posix_spawnattr_init(byte[] attributes);

    [LibraryImport("libc")]
    public static partial int posix_spawnattr_setflags(byte[] attributes, short flags);

    [LibraryImport("libc")]
    public static partial int posix_spawnattr_setsigmask(byte[] attributes, byte[] set);

    [LibraryImport("libc")]
    public static partial int posix_spawnattr_setsigdefault(byte[] attributes, byte[] set);

    [LibraryImport("libc")]
    public static partial int posix_spawnattr_destroy(byte[] attributes);

    [LibraryImport("libc")]
    public static partial int sigfillset(byte[] set);

    [LibraryImport("libc")]
    public static partial int sigemptyset(byte[] set);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int posix_spawnp(out int pid, string file, byte[] actions, byte[] attributes, nint[] arguments, nint[] environment);
}
