namespace Mgmt.Core;

/// <summary>The classes of VMs; the member's name is the name on the wire.</summary>
public enum VmClass
{
    /// <summary>Keeps its private volume; its root is a snapshot of its template's.</summary>
    AppVM,
    /// <summary>Its root is what AppVMs start from.</summary>
    TemplateVM,
    /// <summary>Keeps all its volumes and has no template.</summary>
    StandaloneVM,
    /// <summary>The host, dom0.</summary>
    AdminVM,
    /// <summary>Keeps nothing.</summary>
    DispVM,
    /// <summary>A VM on another host, reached through a relay.</summary>
    RemoteVM,
}
