namespace Mgmt.Qrexec;

/// <summary>
/// The data ports of one guest, 513 to 768. One that was given to a call stays taken until the agent says that it has terminated: a port used again earlier would be
/// served by a process of the earlier call. SOURCE: qrexec protocol.
/// </summary>
public sealed class DataPorts
{
    /// <summary>The control channel's port.</summary>
    public const uint Control = 512;

    /// <summary>The lowest data port.</summary>
    public const uint First = 513;

    /// <summary>How many there are.</summary>
    public const int Count = 256;

    private readonly bool[] _taken = new bool[Count];

    /// <summary>How many are taken.</summary>
    public int Taken { get; private set; }

    /// <summary>Whether the number is one of a data port.</summary>
    public static bool Contains(uint port) => port is >= First and < First + Count;

    /// <summary>Takes the lowest free port; null when all are taken.</summary>
    public uint? Take()
    {
        var at = Array.IndexOf(_taken, false);
        return at >= 0 && Take(First + (uint)at) ? First + (uint)at : null;
    }

    /// <summary>Takes a certain port; false when it is taken.</summary>
    public bool Take(uint port)
    {
        if (!Contains(port) || _taken[port - First])
        {
            return false;
        }
        _taken[port - First] = true;
        Taken++;
        return true;
    }

    /// <summary>Frees a port; false when it was free.</summary>
    public bool Release(uint port)
    {
        if (!Contains(port) || !_taken[port - First])
        {
            return false;
        }
        _taken[port - First] = false;
        Taken--;
        return true;
    }
}
