using System.Runtime.InteropServices;
using Mgmt.Api;

namespace Mgmt.Daemon;

/// <summary>Who is at the other end, as the kernel says (SO_PEERCRED, SO_PEERGROUPS).</summary>
internal sealed class PeerIdentity(DaemonSettings settings)
{
    private const int SoPeerCred = 17;
    private const int SoPeerGroups = 59;
    private const int MaxGroups = 65536;

    private readonly uint _own = Native.GetEffectiveUid();
    private readonly uint? _group = settings.IsSession ? null : UnixGroups.Find(settings.Group);

    /// <summary>The peer of a connection and what it may claim.</summary>
    internal Caller Of(PeerSocket socket)
    {
        Span<byte> credentials = stackalloc byte[12];
        if (socket.Option(SoPeerCred, credentials) != 12)
        {
            return new(uint.MaxValue, 0, CallerRole.Nobody);
        }
        var words = MemoryMarshal.Cast<byte, uint>(credentials);
        var (pid, uid, gid) = ((int)words[0], words[1], words[2]);
        return new(uid, pid, RoleOf(socket, uid, gid));
    }

    private CallerRole RoleOf(PeerSocket socket, uint uid, uint gid) => uid == 0 || uid == _own
        ? CallerRole.Any
        : settings.FrontEndUids.Contains(uid)
            ? CallerRole.VmFrontEnd
            : _group is { } group && (gid == group || GroupsOf(socket).Contains(group)) ? CallerRole.Dom0Only : CallerRole.Nobody;

    private static uint[] GroupsOf(PeerSocket socket)
    {
        var buffer = new byte[MaxGroups * sizeof(uint)];
        // A kernel that does not know the option: only the primary group counts.
        var length = Math.Max(0, socket.Option(SoPeerGroups, buffer));
        return MemoryMarshal.Cast<byte, uint>(buffer.AsSpan(0, length)).ToArray();
    }
}
