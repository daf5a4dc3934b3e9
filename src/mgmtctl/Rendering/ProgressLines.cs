using System.Globalization;
using Mgmt.Cli.Formats;
using Mgmt.Core;

namespace Mgmt.Cli.Rendering;

/// <summary>
/// How far a transfer is, in lines for a log: at most one each second, and one when all is done. Each is
/// <c>TITLE: DONE of TOTAL (N%), RATE/s, S s left</c>; rate and time left once there is a rate.
/// </summary>
internal sealed class ProgressLines(TextWriter output, string title, TimeProvider time) : IProgress<CopyProgress>
{
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private readonly long _began = time.GetTimestamp();
    private TimeSpan? _last;
    private bool _isDone;

    public void Report(CopyProgress value)
    {
        lock (_lock)
        {
            var elapsed = time.GetElapsedTime(_began);
            var isDone = value.TotalBytes > 0 && value.DoneBytes >= value.TotalBytes;
            if (_isDone || (!isDone && elapsed - _last < s_pause))
            {
                return;
            }
            (_last, _isDone) = (elapsed, isDone);
            output.WriteLine(PlainText.OneLine(Line(value, elapsed)));
        }
    }

    private string Line(CopyProgress value, TimeSpan elapsed)
    {
        var done = $"{title}: {new ByteSize(value.DoneBytes).Readable()}";
        var total = value.TotalBytes <= 0
            ? ""
            : string.Create(CultureInfo.InvariantCulture, $" of {new ByteSize(value.TotalBytes).Readable()} ({(Int128)100 * value.DoneBytes / value.TotalBytes}%)");
        if (value.DoneBytes <= 0 || elapsed <= TimeSpan.Zero)
        {
            return done + total;
        }
        var rate = value.DoneBytes / elapsed.TotalSeconds;
        var left = value.TotalBytes > value.DoneBytes ? string.Create(CultureInfo.InvariantCulture, $", {Math.Ceiling((value.TotalBytes - value.DoneBytes) / rate):0} s left") : "";
        return $"{done}{total}, {new ByteSize((long)rate).Readable()}/s{left}";
    }
}
