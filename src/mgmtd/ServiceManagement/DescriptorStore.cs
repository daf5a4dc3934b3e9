using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Mgmt.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Daemon;

/// <summary>
/// Descriptors that are to outlive this process: systemd keeps a copy of each and hands them to the next daemon, after a stop for a restart as after a kill. It drops one by itself when the other end
/// hangs up, and all of them when the service is stopped for good. Without systemd nothing is kept, and nothing fails. SOURCE: sd_notify(3) FDSTORE, sd_listen_fds(3).
/// </summary>
internal sealed class DescriptorStore
{
    /// <summary>What tells ours from the sockets that systemd listens on for us.</summary>
    private const string Prefix = "kept-";
    private const int First = 3;
    private readonly Lock _gate = new();
    // Under the gate.
    private readonly Dictionary<string, int> _inherited = new(StringComparer.Ordinal);
    private readonly HashSet<string> _kept = new(StringComparer.Ordinal);
    private readonly ILogger<DescriptorStore> _log;
    private int? _listening;

    private DescriptorStore(ILogger<DescriptorStore> log) => _log = log;

    /// <summary>
    /// Reads what was handed over; call it once, before anything is started that could inherit it. ERRORS: MgmtUnavailableError when the environment promises what is not there, or more listening
    /// sockets than the one that there is a use for.
    /// </summary>
    internal static DescriptorStore Open(ILogger<DescriptorStore> log)
    {
        var store = new DescriptorStore(log);
        if (Environment.GetEnvironmentVariable("LISTEN_PID") == Environment.ProcessId.ToString(CultureInfo.InvariantCulture)
            && int.TryParse(Environment.GetEnvironmentVariable("LISTEN_FDS"), NumberStyles.None, CultureInfo.InvariantCulture, out var count))
        {
            var names = Environment.GetEnvironmentVariable("LISTEN_FDNAMES")?.Split(':') ?? [];
            for (var i = 0; i < count; i++)
            {
                store.Inherit(First + i, i < names.Length ? names[i] : "");
            }
        }
        return store;
    }

    /// <summary>The socket that systemd listens on for us; null when there is none.</summary>
    internal Socket? TakeListening()
    {
        lock (_gate)
        {
            var taken = _listening is { } descriptor ? new Socket(new SafeSocketHandle(descriptor, ownsHandle: true)) : null;
            _listening = null;
            return taken;
        }
    }

    /// <summary>What an earlier daemon kept under the name, once; null when there is nothing. It goes on to be kept.</summary>
    internal SafeFileHandle? Take(string name)
    {
        lock (_gate)
        {
            if (!_inherited.Remove(name, out var descriptor))
            {
                return null;
            }
            _kept.Add(name);
            return new(descriptor, ownsHandle: true);
        }
    }

    /// <summary>The socket that an earlier daemon kept; as <see cref="Take"/>.</summary>
    internal Socket? TakeSocket(string name)
    {
        using var taken = Take(name);
        if (taken is null)
        {
            return null;
        }
        var descriptor = (int)taken.DangerousGetHandle();
        taken.SetHandleAsInvalid();
        return new Socket(new SafeSocketHandle(descriptor, ownsHandle: true));
    }

    /// <summary>Keeps a copy under the name, in place of what was kept under it. Whether it arrives is not known: a store that is full or forbidden takes nothing.</summary>
    internal void Keep(string name, SafeHandle descriptor)
    {
        Forget(name);
        if (!ServiceManager.IsThere)
        {
            return;
        }
        try
        {
            ServiceManager.Notify($"FDSTORE=1\nFDNAME={Prefix}{name}", descriptor);
            lock (_gate)
            {
                _kept.Add(name);
            }
        }
        catch (IOException error)
        {
            Log.NotKept(_log, name, error.Message);
        }
    }

    /// <summary>What is kept under the name is not to be any more: with the last copy the other end hangs up.</summary>
    internal void Forget(string name)
    {
        lock (_gate)
        {
            if (_inherited.Remove(name, out var descriptor))
            {
                Native.Close(descriptor);
            }
            else if (!_kept.Remove(name))
            {
                return;
            }
        }
        if (ServiceManager.IsThere)
        {
            ServiceManager.Notify($"FDSTOREREMOVE=1\nFDNAME={Prefix}{name}");
        }
    }

    private void Inherit(int descriptor, string name)
    {
        // A VM's process must not inherit the means to answer callers. SOURCE: sd_listen_fds(3), which sets the flag too.
        if (Native.SetCloseOnExec(descriptor) != 0)
        {
            throw new MgmtException(ErrorCode.MgmtUnavailableError, "LISTEN_FDS promises an open file %s, and there is none", descriptor.ToString(CultureInfo.InvariantCulture));
        }
        if (!name.StartsWith(Prefix, StringComparison.Ordinal))
        {
            _listening = _listening is null ? descriptor : throw new MgmtException(ErrorCode.MgmtUnavailableError, "systemd handed over more than one listening socket; the socket unit may have one ListenStream=");
        }
        else if (!_inherited.TryAdd(name[Prefix.Length..], descriptor))
        {
            // Of two the later counts; the other is of a daemon that was killed between keeping one and forgetting the other.
            Native.Close(_inherited[name[Prefix.Length..]]);
            _inherited[name[Prefix.Length..]] = descriptor;
        }
    }
}
