namespace Mgmt.Api;

/// <summary>A parsed request header. Argument is without its <c>+</c>; Destination is as the caller wrote it.</summary>
public sealed record CallRequest(string Method, string Argument, string Source, bool DestinationIsKeyword, string Destination)
{
    /// <summary>For whom the source says that it calls; null when it calls for itself. Written down, and never who calls.</summary>
    public string? RequestedSource { get; init; }
}

/// <summary>Who is at the other end of the connection, as the transport says, and what it may claim to be.</summary>
public sealed record Caller(uint Uid, int Pid, CallerRole Role)
{
    /// <summary>How it came, for the audit log, such as <c>virtio-serial</c>; null for a connection to the socket.</summary>
    public string? Via { get; init; }
}

/// <summary>What a peer may name as SOURCE.</summary>
public enum CallerRole
{
    /// <summary>Nothing: every call is refused.</summary>
    Nobody,
    /// <summary>Only dom0: a member of the management group.</summary>
    Dom0Only,
    /// <summary>Any VM, never dom0: a configured front end.</summary>
    VmFrontEnd,
    /// <summary>Anybody: root and the daemon's own user.</summary>
    Any,
}
