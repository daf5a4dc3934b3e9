using System.IO.Pipelines;

namespace Mgmt.Qrexec;

/// <summary>A guest's call, whichever way it came. First <see cref="AcceptAsync"/> or <see cref="RefuseAsync"/>, once; then output; then <see cref="EndAsync"/>.</summary>
public abstract class GuestCall
{
    private long _bytesIn;
    private long _bytesOut;

    /// <summary>Its number among the calls in flight; 0 as long as it has none.</summary>
    public long Id { get; set; }

    /// <summary>Bytes of input that came so far.</summary>
    public long BytesIn => Interlocked.Read(ref _bytesIn);

    /// <summary>Bytes of output, error output included, that the caller's end of the channel took so far.</summary>
    public long BytesOut => Interlocked.Read(ref _bytesOut);

    /// <summary>Who is called for what. The claimed source is only that.</summary>
    public abstract TriggerService Request { get; }

    /// <summary>How it came: <c>virtio-serial</c>, <c>vchan-socket</c> or <c>vsock</c>.</summary>
    public abstract string Transport { get; }

    /// <summary>What the caller writes to the service. At the end of its input it is completed. Not read, it stops the caller.</summary>
    public abstract PipeReader Input { get; }

    /// <summary>Ends when the caller is gone, or what it said broke the protocol.</summary>
    public abstract CancellationToken Gone { get; }

    /// <summary>Tells the caller that it is not served; it ends with 126. ERRORS: OperationCanceledException when it is gone.</summary>
    public abstract ValueTask RefuseAsync(CancellationToken cancellation);

    /// <summary>Tells the caller that it is served. ERRORS: OperationCanceledException when it is gone.</summary>
    public abstract ValueTask AcceptAsync(CancellationToken cancellation);

    /// <summary>Writes to the caller, and waits until it is taken. ERRORS: OperationCanceledException when it is gone, or takes nothing for too long.</summary>
    public abstract ValueTask WriteAsync(ReadOnlyMemory<byte> output, CancellationToken cancellation);

    /// <summary>Whether it will have error output; otherwise the end of that is told at once. Said before <see cref="AcceptAsync"/>.</summary>
    public bool HasErrors { get; set; }

    /// <summary>Writes to the caller's error output. ERRORS: as for <see cref="WriteAsync"/>.</summary>
    public abstract ValueTask WriteErrorAsync(ReadOnlyMemory<byte> output, CancellationToken cancellation);

    /// <summary>Writes the last of the output, its end and the exit code. ERRORS: as for <see cref="WriteAsync"/>.</summary>
    public abstract ValueTask EndAsync(ReadOnlyMemory<byte> output, int exitCode, CancellationToken cancellation);

    /// <summary>Input came.</summary>
    protected void CountInput(int bytes) => Interlocked.Add(ref _bytesIn, bytes);

    /// <summary>Output was taken.</summary>
    protected void CountOutput(int bytes) => Interlocked.Add(ref _bytesOut, bytes);
}

/// <summary>Serves calls of one guest.</summary>
public interface IGuestCallHandler
{
    /// <summary>How fast it may be refused, on all its channels together.</summary>
    GuestPace Pace { get; }

    /// <summary>Serves a call to its end. Never throws.</summary>
    Task ServeAsync(GuestCall call, CancellationToken cancellation);
}
