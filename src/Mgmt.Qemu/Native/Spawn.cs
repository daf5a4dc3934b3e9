using System.Collections;
using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Mgmt.Qemu;

/// <summary>
/// Starts a process in a session of its own that inherits exactly the descriptors named. System.Diagnostics.Process cannot pass
/// descriptors on. SOURCE: posix_spawn(3).
/// </summary>
internal static class Spawn
{
    // Sources are moved up here first, so that no dup2 overwrites the source of a later one.
    private const int HighDescriptor = 512;
    private const int OpaqueSize = 512;

    /// <summary>Gives the pid. <paramref name="descriptors"/>: ours, and the number the child sees it by. ERRORS: Win32Exception (errno).</summary>
    public static int Start(IReadOnlyList<string> arguments, IReadOnlyList<(SafeHandle Ours, int Child)> descriptors)
    {
        var actions = new byte[OpaqueSize];
        var attributes = new byte[OpaqueSize];
        var opened = new List<int>();
        Check(Libc.posix_spawn_file_actions_init(actions));
        Check(Libc.posix_spawnattr_init(attributes));
        var argv = Pointers(arguments);
        var envp = Pointers([.. Environment.GetEnvironmentVariables().Cast<DictionaryEntry>()
            .Where(e => (string)e.Key is "PATH" or "TMPDIR" or "HOME").Select(e => $"{e.Key}={e.Value}"), "LC_ALL=C"]);
        try
        {
            SetAttributes(attributes);
            foreach (var (ours, child) in descriptors)
            {
                var high = Duplicate(ours);
                opened.Add(high);
                Check(Libc.posix_spawn_file_actions_adddup2(actions, high, child));
            }
            Check(Libc.posix_spawnp(out var pid, arguments[0], actions, attributes, argv, envp));
            return pid;
        }
        finally
        {
            opened.ForEach(fd => Libc.close(fd));
            Free(argv);
            Free(envp);
            Libc.posix_spawnattr_destroy(attributes);
            Libc.posix_spawn_file_actions_destroy(actions);
        }
    }

    private static void SetAttributes(byte[] attributes)
    {
        var none = new byte[128];
        var all = new byte[128];
        Libc.sigemptyset(none);
        Libc.sigfillset(all);
        Check(Libc.posix_spawnattr_setsigmask(attributes, none));
        Check(Libc.posix_spawnattr_setsigdefault(attributes, all));
        Check(Libc.posix_spawnattr_setflags(attributes, Libc.POSIX_SPAWN_SETSID | Libc.POSIX_SPAWN_SETSIGMASK | Libc.POSIX_SPAWN_SETSIGDEF));
    }

    private static int Duplicate(SafeHandle handle)
    {
        var added = false;
        try
        {
            handle.DangerousAddRef(ref added);
            var high = Libc.fcntl((int)handle.DangerousGetHandle(), Libc.F_DUPFD_CLOEXEC, HighDescriptor);
            return high >= 0 ? high : throw new Win32Exception(Marshal.GetLastPInvokeError());
        }
        finally
        {
            if (added)
            {
                handle.DangerousRelease();
            }
        }
    }

    private static nint[] Pointers(IReadOnlyList<string> texts) => [.. texts.Select(Marshal.StringToCoTaskMemUTF8), 0];

    private static void Free(nint[] pointers)
    {
        foreach (var pointer in pointers)
        {
            Marshal.FreeCoTaskMem(pointer);
        }
    }

    private static void Check(int errno)
    {
        if (errno != 0)
        {
            throw new Win32Exception(errno);
        }
    }
}
