using Mgmt.Core;

namespace Mgmt.TestHost;

/// <summary>A copy that ends after its time, evenly on the way there.</summary>
internal sealed class TestDiskCopy : IDiskCopy
{
    private readonly long _sizeBytes;
    private readonly TimeSpan _duration;
    private readonly string? _fault;
    private readonly Task _vmGone;
    private readonly TimeProvider _time;
    private readonly Action _over;
    private readonly long _began;
    private readonly CancellationTokenSource _cancel = new();

    internal TestDiskCopy(long sizeBytes, TimeSpan duration, string? fault, Task vmGone, TimeProvider time, Action over)
    {
        _sizeBytes = sizeBytes;
        _duration = duration;
        _fault = fault;
        _vmGone = vmGone;
        _time = time;
        _over = over;
        _began = time.GetTimestamp();
        Completed = RunAsync();
        // Nobody need be waiting for it.
        _ = Completed.ContinueWith(done => done.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
    }

    public CopyProgress Progress => new(
        Completed.IsCompleted || _duration <= TimeSpan.Zero ? _sizeBytes : (long)(_sizeBytes * Math.Min(1, _time.GetElapsedTime(_began) / _duration)), _sizeBytes);

    public Task Completed { get; }

    public async ValueTask DisposeAsync()
    {
        await _cancel.CancelAsync();
        await Completed.ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
    }

    private async Task RunAsync()
    {
        try
        {
            await Task.WhenAny(_time.Wait(_duration, _cancel.Token), _vmGone);
            if (_vmGone.IsCompleted)
            {
                throw new MgmtException(ErrorCode.MgmtUnavailableError, "The VM ended while its disk was copied");
            }
            if (_cancel.IsCancellationRequested)
            {
                throw new MgmtException(ErrorCode.MgmtCancelledError, "The copy of a disk was cancelled");
            }
            if (_fault is not null)
            {
                throw new MgmtException(ErrorCode.StoragePoolException, "%s", _fault);
            }
        }
        finally
        {
            _over();
        }
    }
}
