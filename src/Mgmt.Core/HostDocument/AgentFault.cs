namespace Mgmt.Core;

/// <summary>What is wrong with the guest agent of a VM of a test host.</summary>
public enum AgentFault
{
    /// <summary>Nothing.</summary>
    None,
    /// <summary>There is none.</summary>
    Absent,
    /// <summary>It opens its port and never answers.</summary>
    Silent,
}
