using System.Net.Sockets;
using System.Text;

namespace Mgmt.Daemon;

/// <summary>Tells systemd how it is (sd_notify): one datagram to NOTIFY_SOCKET. Does nothing where there is none. SOURCE: sd_notify(3).</summary>
internal static class ServiceManager
{
    internal static void Notify(string state)
    {
        if (Environment.GetEnvironmentVariable("NOTIFY_SOCKET") is not { Length: > 0 } address)
        {
            return;
        }
        using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        var endpoint = new UnixDomainSocketEndPoint(address[0] == '@' ? "\0" + address[1..] : address);
        socket.SendTo(Encoding.UTF8.GetBytes(state), endpoint);
    }
}
