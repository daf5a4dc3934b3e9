namespace Mgmt.Api;

/// <summary>What a call does; there is no default, so a row must say.</summary>
public enum CallAccess
{
    /// <summary>Changes nothing. Cancelled when the caller goes away.</summary>
    Read,
    /// <summary>Changes configuration.</summary>
    Write,
    /// <summary>Makes something happen.</summary>
    Execute,
}

/// <summary>How far a call reaches: one VM, or the host and with it every VM. Decides which role file allows it.</summary>
public enum CallScope
{
    /// <summary>One VM.</summary>
    Vm,
    /// <summary>The host.</summary>
    Host,
}

/// <summary>What a call's destination may be.</summary>
public enum CallTarget
{
    /// <summary>Only dom0.</summary>
    Dom0,
    /// <summary>Only a VM other than dom0.</summary>
    Vm,
    /// <summary>dom0 or a VM.</summary>
    Any,
}

/// <summary>Which names a call is served under.</summary>
public enum CallDialects
{
    /// <summary><c>mgmt.</c> only.</summary>
    Mgmt,
    /// <summary><c>mgmt.</c> and <c>admin.</c>.</summary>
    Both,
    /// <summary>Its own name, without a prefix: a service of Qubes OS that is no management call.</summary>
    Own,
}
