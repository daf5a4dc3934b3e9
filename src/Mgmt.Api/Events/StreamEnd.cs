namespace Mgmt.Api;

/// <summary>Why the daemon ended a stream; on the wire in lower case.</summary>
public enum StreamEnd
{
    /// <summary>The subscriber read too slowly for its queue.</summary>
    Slow,
    /// <summary>The daemon stops.</summary>
    Shutdown,
    /// <summary>The policy no longer allows the stream.</summary>
    Denied,
    /// <summary>The VM whose stream it was is gone.</summary>
    Removed,
}
