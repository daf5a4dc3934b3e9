using System.Collections.Immutable;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Mgmt.Api;

/// <summary>
/// Finds where the output of a program begins, and its exit status. machined does not tell them, so a shell in the container writes a mark that nobody could know beforehand, runs the
/// program, and writes the mark and the status; what is before, after and of the marks is taken out of the output. What is told is the container's word: it can lie about its
/// own programs, and about nothing else.
/// <code>
/// output = anything MARK "!" what the program wrote MARK digits ";"        MARK = "mgmt-" 32 hex digits ":"
/// </code>
/// </summary>
internal sealed class ExitStatusScanner(bool plain)
{
    private const int MaxDigits = 3;
    // systemd resets the terminal and drops what was typed before the shell runs; only the shell can make it plain.
    private const string Plain = "stty -echo -opost 2>/dev/null; ";
    // Ctrl-C on the terminal is for the program, whose status this shell has to outlive; a trap, unlike a signal that is ignored, is not inherited.
    private const string Script = "trap : INT QUIT; printf '%s!' \"$m\"; \"$@\"; printf '%s%d;' \"$m\" $?";
    private readonly byte[] _mark = Encoding.ASCII.GetBytes($"mgmt-{RandomNumberGenerator.GetHexString(32, lowercase: true)}:");
    private readonly TaskCompletionSource _began = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private byte[] _held = [];

    /// <summary>The status, once it was found.</summary>
    public int? Status { get; private set; }

    /// <summary>Completes when the program begins: what is typed from then on is its input.</summary>
    public Task Began => _began.Task;

    /// <summary>The arguments of <c>/bin/sh</c> that run a program so.</summary>
    public ImmutableArray<string> Wrap(ImmutableArray<string> arguments) =>
        ["sh", "-c", $"m=$1; shift; {(plain ? Plain : "")}{Script}", "sh", Encoding.ASCII.GetString(_mark), .. arguments];

    /// <summary>What of the output is the program's, as far as that is known by now.</summary>
    public ReadOnlyMemory<byte> Take(ReadOnlyMemory<byte> chunk)
    {
        byte[] all = [.. _held, .. chunk.Span];
        _held = [];
        if (Status is not null)
        {
            return default;
        }
        if (!_began.Task.IsCompleted)
        {
            byte[] begin = [.. _mark, (byte)'!'];
            var at = all.AsSpan().IndexOf(begin);
            if (at < 0)
            {
                _held = all[^Math.Min(all.Length, begin.Length - 1)..];
                return default;
            }
            _began.SetResult();
            all = all[(at + begin.Length)..];
        }
        return UpToEnd(all);
    }

    /// <summary>What was held back and turned out to be no mark.</summary>
    public ReadOnlyMemory<byte> TakeRest() => Status is null && _began.Task.IsCompleted ? _held : default;

    private ReadOnlyMemory<byte> UpToEnd(byte[] all)
    {
        var at = all.AsSpan().IndexOf(_mark);
        if (at < 0)
        {
            var keep = Overlap(all);
            _held = all[^keep..];
            return all.AsMemory(0, all.Length - keep);
        }
        var after = all.AsSpan(at + _mark.Length);
        Status = Number(after);
        if (Status is null && after.Length > MaxDigits)
        {
            return all; // a mark that somebody copied, with something else after it
        }
        _held = Status is null ? all[at..] : [];
        return all.AsMemory(0, at);
    }

    /// <summary>How many of the last bytes may be the beginning of a mark.</summary>
    private int Overlap(ReadOnlySpan<byte> bytes)
    {
        for (var n = Math.Min(bytes.Length, _mark.Length - 1); n > 0; n--)
        {
            if (bytes[^n..].SequenceEqual(_mark.AsSpan(0, n)))
            {
                return n;
            }
        }
        return 0;
    }

    private static int? Number(ReadOnlySpan<byte> bytes)
    {
        var end = bytes[..Math.Min(bytes.Length, MaxDigits + 1)].IndexOf((byte)';');
        return end > 0 && int.TryParse(bytes[..end], NumberStyles.None, CultureInfo.InvariantCulture, out var status) && status <= byte.MaxValue ? status : null;
    }
}
