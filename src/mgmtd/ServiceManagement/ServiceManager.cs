using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;

namespace Mgmt.Daemon;

/// <summary>Tells systemd how it is (sd_notify): one datagram to NOTIFY_SOCKET. Does nothing where there is none. SOURCE: sd_notify(3).</summary>
internal static partial class ServiceManager
{
    private const string AddressVariable = "NOTIFY_SOCKET";

    /// <summary>Whether there is one that listens.</summary>
    internal static bool IsThere => Environment.GetEnvironmentVariable(AddressVariable) is { Length: > 0 };

    internal static void Notify(string state)
    {
        if (Environment.GetEnvironmentVariable(AddressVariable) is not { Length: > 0 } address)
        {
            return;
        }
        using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        var endpoint = new UnixDomainSocketEndPoint(address[0] == '@' ? "\0" + address[1..] : address);
        socket.SendTo(Encoding.UTF8.GetBytes(state), endpoint);
    }

    /// <summary>The same with a descriptor beside it, of which the service manager gets one of its own. ERRORS: IOException.</summary>
    internal static void Notify(string state, SafeHandle descriptor)
    {
        var held = false;
        try
        {
            descriptor.DangerousAddRef(ref held);
            var outcome = NotifyWithDescriptors(0, 0, state, [(int)descriptor.DangerousGetHandle()], 1);
            if (outcome < 0)
            {
                throw new IOException($"sd_notify: {Marshal.GetPInvokeErrorMessage(-outcome)}");
            }
        }
        catch (Exception error) when (error is DllNotFoundException or EntryPointNotFoundException)
        {
            throw new IOException("libsystemd.so.0 is missing", error);
        }
        finally
        {
            if (held)
            {
                descriptor.DangerousRelease();
            }
        }
    }

    [LibraryImport("libsystemd.so.0", EntryPoint = "sd_pid_notify_with_fds", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int NotifyWithDescriptors(int pid, int unsetEnvironment, string state, ReadOnlySpan<int> descriptors, uint count);
}
