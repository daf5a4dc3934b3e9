using System.Buffers;
using System.IO.Pipelines;

namespace Mgmt.Qrexec;

/// <summary>A call on a port. The port's loop fills its input and ends it; the rest may be used from anywhere.</summary>
internal sealed class PortCall : GuestCall
{
    private const int PieceBytes = (int)MessageHeader.MaxDataLength;
    private const int ShortBytes = 256;
    // A message with its header; one that holds marks grows.
    private const int MessageBytes = 8;

    private readonly PortOutput _output;
    private readonly Pipe _input;
    private readonly CancellationTokenSource _gone = new();
    private TriggerService? _request;
    private volatile bool _isFinished;
    private bool _hasNew;

    internal PortCall(PortOutput output, string transport, PortNonce nonce, long generation, DateTimeOffset began, PortLimits limits)
    {
        _output = output;
        Transport = transport;
        Nonce = nonce;
        Generation = generation;
        Began = began;
        _input = new Pipe(new PipeOptions(pauseWriterThreshold: limits.InputBytes, resumeWriterThreshold: limits.InputBytes / 2, useSynchronizationContext: false));
    }

    public override TriggerService Request => _request ?? throw new InvalidOperationException("it has not been called yet");

    public override string Transport { get; }

    public override PipeReader Input => _input.Reader;

    public override CancellationToken Gone => _gone.Token;

    internal PortNonce Nonce { get; }

    /// <summary>Which open of the port it belongs to.</summary>
    internal long Generation { get; }

    /// <summary>Nothing of it is to be read or written any more.</summary>
    internal bool IsOver => _isFinished || _gone.IsCancellationRequested;

    /// <summary>When its mark was read, which is after it was opened.</summary>
    internal DateTimeOffset Began { get; }

    internal bool WasGreeted { get; set; }

    /// <summary>Why it was broken off, while that is still to be told.</summary>
    internal string? Breach { get; set; }

    public override ValueTask RefuseAsync(CancellationToken cancellation) => LastAsync(output => ExecParameters.WriteRefused(output, Ident), cancellation);

    public override ValueTask AcceptAsync(CancellationToken cancellation) => SendAsync(output => ExecParameters.WriteConnect(output, 0, 0, Ident), cancellation);

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> output, CancellationToken cancellation) => SendStreamAsync(MessageType.DataStdout, output, cancellation);

    public override ValueTask WriteErrorAsync(ReadOnlyMemory<byte> output, CancellationToken cancellation) => SendStreamAsync(MessageType.DataStderr, output, cancellation);

    public override async ValueTask EndAsync(ReadOnlyMemory<byte> output, int exitCode, CancellationToken cancellation)
    {
        // The last piece goes with the end, so that a short answer is one write.
        var before = Math.Max(0, output.Length - PieceBytes);
        await SendStreamAsync(MessageType.DataStdout, output[..before], cancellation);
        await LastAsync(to =>
        {
            DataWriter.Write(to, MessageType.DataStdout, output.Span[before..], PieceBytes);
            DataWriter.WriteEnd(to, MessageType.DataStdout);
            DataWriter.WriteExitCode(to, exitCode);
        }, cancellation);
        CountOutput(output.Length - before);
    }

    internal bool IsCalled => _request is not null;

    internal bool WasBegun { get; set; }

    internal void Call(TriggerService request) => _request = request;

    internal void Take(ReadOnlySpan<byte> bytes)
    {
        _input.Writer.Write(bytes);
        CountInput(bytes.Length);
        _hasNew = true;
    }

    internal void TakeEnd()
    {
        _hasNew = false;
        _input.Writer.Complete();
    }

    /// <summary>Waits until the input that was taken has a place, or nobody wants it any more.</summary>
    internal async ValueTask FlushAsync(CancellationToken stopping)
    {
        if (!_hasNew || IsOver)
        {
            return;
        }
        _hasNew = false;
        using var either = CancellationTokenSource.CreateLinkedTokenSource(Gone, stopping);
        try
        {
            await _input.Writer.FlushAsync(either.Token);
        }
        catch (OperationCanceledException) when (!stopping.IsCancellationRequested)
        {
            // The caller is gone; so is its input.
        }
    }

    /// <summary>The caller is gone.</summary>
    internal void End() => _gone.Cancel();

    /// <summary>Nobody serves it any more.</summary>
    internal void Close()
    {
        _isFinished = true;
        _input.Reader.Complete();
    }

    private CallIdent Ident => Request.Ident ?? throw new InvalidOperationException("a call without an ident is not answered");

    /// <summary>Piece by piece: of what is much only one is copied at a time, and each has the deadline for itself.</summary>
    private async ValueTask SendStreamAsync(MessageType stream, ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
    {
        while (!bytes.IsEmpty)
        {
            var piece = bytes[..Math.Min(bytes.Length, PieceBytes)];
            await SendAsync(to => DataWriter.Write(to, stream, piece.Span, PieceBytes), MessageBytes + piece.Length, cancellation);
            CountOutput(piece.Length);
            bytes = bytes[piece.Length..];
        }
    }

    private async ValueTask LastAsync(Action<ArrayBufferWriter<byte>> write, CancellationToken cancellation)
    {
        await SendAsync(write, cancellation);
        _isFinished = true;
    }

    private async ValueTask SendAsync(Action<ArrayBufferWriter<byte>> write, CancellationToken cancellation) => await SendAsync(write, ShortBytes, cancellation);

    private async ValueTask SendAsync(Action<ArrayBufferWriter<byte>> write, int expectedBytes, CancellationToken cancellation)
    {
        var output = new ArrayBufferWriter<byte>(expectedBytes);
        write(output);
        if (output.WrittenCount == 0)
        {
            return;
        }
        using var either = CancellationTokenSource.CreateLinkedTokenSource(Gone, cancellation);
        try
        {
            if (!await _output.WriteAsync(output.WrittenMemory, () => !IsOver, either.Token))
            {
                throw new OperationCanceledException("the caller is gone");
            }
        }
        catch (Exception error) when (error is TimeoutException or IOException)
        {
            End();
            throw new OperationCanceledException(error.Message, error);
        }
    }
}
