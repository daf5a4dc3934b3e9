using System.IO.Pipelines;

namespace Mgmt.Api;

/// <summary>What came after the header: the payload in full, or as a stream, and a way to see whether the caller is still there.</summary>
public readonly record struct CallInput(ReadOnlyMemory<byte> Payload, PipeReader? Stream, IEventSink? Events, Func<bool> CallerIsGone)
{
    /// <summary>Where a content goes that is sent while it is made, for calls that do so.</summary>
    public IContentSink? Output { get; init; }
}

/// <summary>How a call ended: the content of OK, or an error, or a stream that is over (neither).</summary>
public readonly record struct CallResult(ReadOnlyMemory<byte> Content, MgmtException? Error, bool IsStreamEnd);
