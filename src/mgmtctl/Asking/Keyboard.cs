using System.Runtime.InteropServices;

namespace Mgmt.Cli.Asking;

/// <summary>
/// Single keys of the terminal on standard input, not shown and not gathered into lines, from when it is made until it is disposed. Ctrl-C stays a signal unless they are raw.
/// Console's own reading of keys writes escape sequences to the terminal and cannot be given up.
/// </summary>
internal sealed partial class Keyboard : Stream
{
    private const int Descriptor = 0;
    private const int Discarding = 2; // TCSAFLUSH: what was typed before is not an answer
    private const short PollIn = 1;
    private const int LookAgainMs = 100;

    // struct termios of Linux: four flag words, a byte, then the control characters.
    private const int TermiosBytes = 64;
    private const int LocalFlags = 12;
    private const int MinTime = 17 + 5;
    private const int MinBytes = 17 + 6;
    private const uint Gathered = 0x2; // ICANON
    private const uint Shown = 0x8; // ECHO

    private readonly byte[] _before = new byte[TermiosBytes];

    /// <summary><paramref name="raw"/>: every key is a byte, Ctrl-C too, and output is not changed either. ERRORS: IOException when standard input is no terminal.</summary>
    public Keyboard(bool raw = false)
    {
        if (GetAttributes(Descriptor, _before) != 0)
        {
            throw new IOException("standard input is not a terminal: " + Marshal.GetLastPInvokeErrorMessage());
        }
        var single = _before.ToArray();
        BitConverter.TryWriteBytes(single.AsSpan(LocalFlags), BitConverter.ToUInt32(single, LocalFlags) & ~(Gathered | Shown));
        if (raw)
        {
            MakeRaw(single);
        }
        (single[MinTime], single[MinBytes]) = (0, 1);
        SetAttributes(Descriptor, Discarding, single);
    }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>What was pressed, at least a byte; 0 when the terminal is gone.</summary>
    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => new(Task.Run(() =>
    {
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var entry = new PollFd { Descriptor = Descriptor, Events = PollIn };
            if (Poll(ref entry, 1, LookAgainMs) > 0)
            {
                return (int)Math.Max(0, ReadBytes(Descriptor, buffer.Span, (nuint)buffer.Length));
            }
        }
    }, cancellationToken));

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        SetAttributes(Descriptor, Discarding, _before);
        base.Dispose(disposing);
    }

    [LibraryImport("libc", EntryPoint = "tcgetattr", SetLastError = true)]
    private static partial int GetAttributes(int descriptor, Span<byte> attributes);

    [LibraryImport("libc", EntryPoint = "cfmakeraw")]
    private static partial void MakeRaw(Span<byte> attributes);

    [LibraryImport("libc", EntryPoint = "tcsetattr", SetLastError = true)]
    private static partial int SetAttributes(int descriptor, int when, ReadOnlySpan<byte> attributes);

    [LibraryImport("libc", EntryPoint = "poll")]
    private static partial int Poll(ref PollFd entry, nuint count, int timeoutMs);

    [LibraryImport("libc", EntryPoint = "read")]
    private static partial nint ReadBytes(int descriptor, Span<byte> buffer, nuint count);

    [StructLayout(LayoutKind.Sequential)]
    private struct PollFd
    {
        public int Descriptor;
        public short Events;
        public short Returned;
    }
}
