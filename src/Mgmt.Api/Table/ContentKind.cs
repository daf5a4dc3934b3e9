namespace Mgmt.Api;

/// <summary>How the content of an OK reply is sent. SOURCE: docs/wire.md, "Contents that are sent while they are made".</summary>
public enum ContentKind
{
    /// <summary>In one piece, when the call has ended.</summary>
    Whole,
    /// <summary>While it is made, as it is: a console.</summary>
    Bytes,
    /// <summary>While it is made, in frames, so that its end can be told from a connection that broke.</summary>
    Frames,
}
