namespace Mgmt.Qrexec;

/// <summary>
/// Who has which data port of a guest. A port is free again when the agent that knows of it says so; of an agent that is gone, when its data channel has ended, whichever came last. Commands of the host
/// may have half of them, so that a guest can always call.
/// </summary>
internal sealed class LinkPorts
{
    private const int MaxCommands = DataPorts.Count / 2;
    private readonly Lock _gate = new();
    // Under the gate. Ports outlive the control channel: a data channel may.
    private readonly DataPorts _ports = new();
    private readonly Dictionary<uint, PortUse> _uses = [];
    private long _connection;

    /// <summary>Which connection to the agent this is: what an earlier one was asked is not answered to a later one.</summary>
    internal long Connection => Interlocked.Read(ref _connection);

    /// <summary>A port for a call of the guest's, or for a command of the host's; null when there is none.</summary>
    internal PortUse? Take(bool isCommand)
    {
        lock (_gate)
        {
            if ((isCommand && _uses.Values.Count(use => use.IsCommand) >= MaxCommands) || _ports.Take() is not { } port)
            {
                return null;
            }
            return _uses[port] = new PortUse(port, _connection, isCommand);
        }
    }

    /// <summary>Those that the agent has not given back.</summary>
    internal uint[] Taken()
    {
        lock (_gate)
        {
            return [.. _uses.Keys];
        }
    }

    /// <summary>Ports of calls that ended with an earlier daemon: the agent will say that they are free.</summary>
    internal void Restore(IEnumerable<uint> ports)
    {
        lock (_gate)
        {
            foreach (var port in ports.Where(_ports.Take))
            {
                _uses[port] = new PortUse(port, _connection, isCommand: false) { HasEnded = true };
            }
        }
    }

    /// <summary>The agent says that a port is free.</summary>
    internal void Terminated(uint port)
    {
        lock (_gate)
        {
            Release(port);
        }
    }

    /// <summary>Its data channel is over, or never was.</summary>
    internal void Ended(PortUse use)
    {
        lock (_gate)
        {
            use.HasEnded = true;
            // Freed by the agent meanwhile, it may be somebody else's.
            if (use.Connection != _connection && _uses.GetValueOrDefault(use.Port) == use)
            {
                Release(use.Port);
            }
        }
    }

    /// <summary>The agent never heard of it.</summary>
    internal void Return(PortUse use)
    {
        lock (_gate)
        {
            Release(use.Port);
        }
    }

    /// <summary>The control channel is lost: the agent that knew of these will not say that they are free.</summary>
    internal void ConnectionEnded()
    {
        lock (_gate)
        {
            Interlocked.Increment(ref _connection);
            foreach (var use in _uses.Values.Where(use => use.HasEnded).ToArray())
            {
                Release(use.Port);
            }
        }
    }

    private void Release(uint port)
    {
        _uses.Remove(port);
        _ports.Release(port);
    }
}

/// <summary>A data port that is somebody's.</summary>
internal sealed class PortUse(uint port, long connection, bool isCommand)
{
    internal uint Port => port;

    /// <summary>To which agent it was told.</summary>
    internal long Connection => connection;

    internal bool IsCommand => isCommand;

    /// <summary>Changed and read under the gate of <see cref="LinkPorts"/>.</summary>
    internal bool HasEnded { get; set; }
}
