using System.Runtime.InteropServices;
using System.Threading.Channels;
using Mgmt.Core;
using Mgmt.Machined.Bus;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Machined;

/// <summary>
/// Our end of a pseudo terminal. A thread of its own reads it, as a terminal can be polled and not read asynchronously; it holds at most a few chunks that nobody
/// took. SOURCE: pty(7): a read fails with EIO while nobody has the other end open.
/// </summary>
internal sealed class PtyTerminal : IMachineTerminal
{
    private const int ChunkBytes = 8 * 1024;
    private const int MostChunks = 16;
    private const int LookAgainMilliseconds = 100;
    private const int Interrupted = 4;
    private const int InputOutput = 5;
    private const int Again = 11;

    private readonly SafeFileHandle _file;
    private readonly SafeFileHandle _wake = Libc.NewEventFd();
    private readonly TimeSpan _grace;
    private readonly TimeSpan _patience;
    private readonly TimeProvider _time;
    private bool _wasOpened;
    private readonly Channel<ReadOnlyMemory<byte>> _chunks = Channel.CreateUnbounded<ReadOnlyMemory<byte>>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
    // Bounds the channel; the thread waits on it, which it cannot on the channel.
    private readonly SemaphoreSlim _room = new(MostChunks, MostChunks);
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _closing = new();

    /// <summary>
    /// Owns the terminal. How long nobody may have the other end open before it counts as hung up: <paramref name="grace"/>, and <paramref name="patience"/> before
    /// somebody had it open for the first time.
    /// </summary>
    public PtyTerminal(OpenTerminal terminal, TimeSpan grace, TimeSpan patience, TimeProvider time)
    {
        (_file, Path, _grace, _patience, _time) = (terminal.File, terminal.Path, grace, patience, time);
        Libc.SetNonBlocking(_file);
        new Thread(Run) { IsBackground = true, Name = "mgmt-pty" }.Start();
    }

    /// <inheritdoc/>
    public string Path { get; }

    /// <summary>Called when it has been closed.</summary>
    public Action Closed { get; init; } = () => { };

    /// <inheritdoc/>
    public bool WasOpened
    {
        get => Volatile.Read(ref _wasOpened);
        private set => Volatile.Write(ref _wasOpened, value);
    }

    /// <inheritdoc/>
    public async ValueTask<ReadOnlyMemory<byte>> ReadAsync(CancellationToken cancellation)
    {
        while (await _chunks.Reader.WaitToReadAsync(cancellation))
        {
            if (_chunks.Reader.TryRead(out var chunk))
            {
                _room.Release();
                return chunk;
            }
        }
        return ReadOnlyMemory<byte>.Empty;
    }

    /// <inheritdoc/>
    public async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
    {
        while (!bytes.IsEmpty)
        {
            var n = Libc.WriteBytes(_file, bytes.Span, (nuint)bytes.Length);
            if (n >= 0)
            {
                bytes = bytes[(int)n..];
                continue;
            }
            if (Marshal.GetLastPInvokeError() is not (Again or Interrupted))
            {
                throw new MgmtException(ErrorCode.MgmtUnavailableError, "The terminal %s is closed", Path);
            }
            // Nobody reads what was typed before; there is no signal for when somebody does.
            await Task.Delay(TimeSpan.FromMilliseconds(LookAgainMilliseconds / 10), _time, cancellation);
        }
    }

    /// <inheritdoc/>
    public void Resize(int rows, int columns) =>
        Libc.SetWindowSize(_file, new Libc.WindowSize { Rows = (ushort)Math.Clamp(rows, 0, ushort.MaxValue), Columns = (ushort)Math.Clamp(columns, 0, ushort.MaxValue) });

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_closing.IsCancellationRequested)
        {
            return;
        }
        await _closing.CancelAsync();
        _ = Libc.Write(_wake, 1, sizeof(ulong));
        await _ended.Task;
        _file.Dispose();
        Closed();
        _wake.Dispose();
        _closing.Dispose();
        _room.Dispose();
    }

    private void Run()
    {
        try
        {
            Read();
        }
        catch (OperationCanceledException)
        {
            // Closed while nobody took what was read.
        }
        finally
        {
            _chunks.Writer.TryComplete();
            _ended.SetResult();
        }
    }

    private void Read()
    {
        var buffer = new byte[ChunkBytes];
        var polled = new Libc.PollFd[2];
        long? hungUpSince = null;
        while (!_closing.IsCancellationRequested)
        {
            var n = Libc.ReadBytes(_file, buffer, ChunkBytes);
            if (n > 0)
            {
                _room.Wait(_closing.Token);
                _chunks.Writer.TryWrite(buffer.AsSpan(0, (int)n).ToArray());
                (WasOpened, hungUpSince) = (true, null);
                continue;
            }
            var error = n < 0 ? Marshal.GetLastPInvokeError() : InputOutput;
            if (error is not (Again or Interrupted or InputOutput))
            {
                return;
            }
            if (error == InputOutput)
            {
                hungUpSince ??= _time.GetTimestamp();
                if (_time.GetElapsedTime(hungUpSince.Value) >= (WasOpened ? _grace : _patience))
                {
                    return;
                }
            }
            else if (hungUpSince is not null)
            {
                // machined itself opened it and closed it again; now the program has.
                (WasOpened, hungUpSince) = (true, null);
            }
            polled[0] = new Libc.PollFd { Fd = (int)_wake.DangerousGetHandle(), Events = Libc.PollIn };
            // A terminal that hung up is readable all the time: only the other descriptor is waited for then.
            polled[1] = new Libc.PollFd { Fd = error == InputOutput ? -1 : (int)_file.DangerousGetHandle(), Events = Libc.PollIn };
            _ = Libc.Poll(polled, 2, error != InputOutput ? -1 : WasOpened ? LookAgainMilliseconds : LookAgainMilliseconds / 10);
        }
    }
}
