namespace Mgmt.Core;

/// <summary>What is known of a VM's guest agent; on the wire in lower case.</summary>
public enum AgentState
{
    /// <summary>The guest has not opened the agent's port.</summary>
    Absent,
    /// <summary>The port is open and no command was answered yet.</summary>
    Connecting,
    /// <summary>It answers.</summary>
    Ready,
    /// <summary>It answered once and does not any more.</summary>
    Lost,
    /// <summary>The guest sleeps or is frozen on purpose.</summary>
    Suspended,
}
