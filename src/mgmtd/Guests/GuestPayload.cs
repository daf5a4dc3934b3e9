using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using Mgmt.Core;
using Mgmt.Qrexec;

namespace Mgmt.Daemon;

/// <summary>
/// The input of a guest's call as a payload: silence for too long and a caller that goes away are errors of the call, and only the guest's word for it is the end.
/// </summary>
internal sealed class GuestPayload : Stream
{
    private readonly GuestCall _call;
    private readonly TimeSpan _idle;
    private readonly TimeProvider _clock;

    internal GuestPayload(GuestCall call, TimeSpan idle, TimeProvider clock)
    {
        (_call, _idle, _clock) = (call, idle, clock);
        Reader = PipeReader.Create(this, new StreamPipeReaderOptions(bufferSize: 64 * 1024, minimumReadSize: 16 * 1024, leaveOpen: true));
    }

    /// <summary>How long a call that takes no payload waits for the word that there is none.</summary>
    internal static TimeSpan Quiet { get; } = TimeSpan.FromSeconds(1);

    internal PipeReader Reader { get; }

    /// <summary>Whether any of it came.</summary>
    internal bool HasRead { get; private set; }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>All of it, within the deadline however steadily it trickles. ERRORS: ProtocolError over the cap, MgmtBusyError of the budget, MgmtTimeoutError, and those of reading.</summary>
    internal async Task<ReadOnlyMemory<byte>> ReadAllAsync(int capBytes, TimeSpan deadline, PayloadBudget.Share held, CancellationToken cancellation)
    {
        var whole = new ArrayBufferWriter<byte>(256);
        using var late = new CancellationTokenSource(deadline, _clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellation);
        try
        {
            while (await ReadAsync(whole.GetMemory(4096), either.Token) is var read and > 0)
            {
                whole.Advance(read);
                held.Take(read);
                if (whole.WrittenCount > capBytes)
                {
                    throw new MgmtException(ErrorCode.ProtocolError, "The request is longer than the %s bytes that this call takes", capBytes.ToString(CultureInfo.InvariantCulture));
                }
                either.Token.ThrowIfCancellationRequested();
            }
            return whole.WrittenMemory;
        }
        catch (OperationCanceledException error) when (!cancellation.IsCancellationRequested)
        {
            throw new MgmtException(error, ErrorCode.MgmtTimeoutError, "The request did not end within %s s; end your input after the payload", deadline.TotalSeconds.ToString(CultureInfo.InvariantCulture));
        }
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var input = (await WaitAsync(cancellationToken)).Buffer;
        var taken = input.Slice(0, Math.Min(input.Length, buffer.Length));
        taken.CopyTo(buffer.Span);
        var length = (int)taken.Length;
        _call.Input.AdvanceTo(taken.End);
        HasRead |= length > 0;
        return length;
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    /// <summary>Waits until there is some, or the end. ERRORS: MgmtTimeoutError, MgmtCancelledError, OperationCanceledException for the token's own end.</summary>
    private async ValueTask<ReadResult> WaitAsync(CancellationToken cancellation)
    {
        if (_call.Input.TryRead(out var there))
        {
            return there;
        }
        using var limit = new CancellationTokenSource(_idle, _clock);
        using var any = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellation, _call.Gone);
        try
        {
            return await _call.Input.ReadAsync(any.Token);
        }
        catch (OperationCanceledException error) when (_call.Gone.IsCancellationRequested)
        {
            throw new MgmtException(error, ErrorCode.MgmtCancelledError, "The caller went away in the middle of the request");
        }
        catch (OperationCanceledException error) when (!cancellation.IsCancellationRequested)
        {
            throw new MgmtException(error, ErrorCode.MgmtTimeoutError, "No data for %s s, and no end of the request", _idle.TotalSeconds.ToString(CultureInfo.InvariantCulture));
        }
    }
}
