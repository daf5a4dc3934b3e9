using System.Threading.Channels;
using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Qemu;

/// <summary>What a copy works with. VmEnded completes when the process is gone; Gone is told when nothing of the copy is left.</summary>
internal sealed record CopyParts(string Vm, CopyNames Names, Func<DiskCommands> Commands, Task VmEnded, TimeSpan Deadline, TimeProvider Time, ILogger Log, Action Gone);

/// <summary>
/// A copy under way. Its job's events wake it, but the truth is <c>query-jobs</c>, also over a monitor that broke. When it is over, however, its
/// job, nodes and descriptors are removed first: only then has QEMU written everything to the target.
/// </summary>
internal sealed class DiskCopy(CopyParts parts) : IDiskCopy
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(500);

    private readonly Channel<bool> _wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly TaskCompletionSource _completed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _gate = new();
    // Guarded by _gate.
    private CopyProgress _progress;
    private MgmtException? _givenUp;
    private Func<Task>? _afterwards;
    private Task _loop = Task.CompletedTask;

    /// <inheritdoc/>
    public CopyProgress Progress
    {
        get
        {
            lock (_gate)
            {
                return _progress;
            }
        }
    }

    /// <inheritdoc/>
    public Task Completed => _completed.Task;

    /// <summary>QEMU has accepted the job: follows it from now on.</summary>
    public void Start() => _loop = Task.Run(FollowAsync);

    /// <summary>Its job changed.</summary>
    public void Wake() => _wake.Writer.TryWrite(true);

    /// <summary>Ends it with an error; what is to be done <paramref name="afterwards"/> is done when nothing of it is left.</summary>
    public void GiveUp(MgmtException why, Func<Task>? afterwards)
    {
        lock (_gate)
        {
            _givenUp ??= why;
            _afterwards ??= afterwards;
        }
        Wake();
    }

    /// <summary>QEMU has not accepted the job: takes away what was made for it.</summary>
    public async Task AbandonAsync()
    {
        await RemoveAsync();
        await GoneAsync();
    }

    /// <summary>Removes what there is of it in QEMU; false when that could not be done, which is logged.</summary>
    private async Task<bool> RemoveAsync()
    {
        var began = parts.Time.GetTimestamp();
        using var deadline = new CancellationTokenSource(parts.Deadline, parts.Time);
        while (!parts.VmEnded.IsCompleted)
        {
            try
            {
                await CopyRemains.RemoveAsync(parts.Commands(), parts.Names.Job, parts.Time, deadline.Token);
                return true;
            }
            catch (Exception e) when (e is MgmtException or OperationCanceledException)
            {
                if (parts.Time.GetElapsedTime(began) >= parts.Deadline)
                {
                    Log.CopyRemains(parts.Log, parts.Vm, e);
                    return false;
                }
            }
            await SleepAsync();
        }
        return true;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        GiveUp(new MgmtException(ErrorCode.MgmtCancelledError, "The copy of a disk was cancelled"), null);
        await _loop;
    }

    private async Task FollowAsync()
    {
        MgmtException? failure;
        try
        {
            failure = await UntilConcludedAsync();
            if (!await RemoveAsync())
            {
                failure ??= new MgmtException(ErrorCode.MgmtUnavailableError, "QEMU does not let go of the copy of a disk");
            }
            if (failure is null && parts.VmEnded.IsCompleted)
            {
                failure = VmEnded();
            }
        }
        catch (Exception e)
        {
            Log.FollowFailed(parts.Log, parts.Vm, e);
            failure = new MgmtException(e, ErrorCode.MgmtUnavailableError, "the copy of a disk cannot be followed");
        }
        await GoneAsync();
        Complete(failure);
    }

    private async Task GoneAsync()
    {
        var afterwards = Afterwards();
        if (afterwards is not null)
        {
            await afterwards();
            // QEMU closes descriptors only while the guest runs.
            await RemoveAsync();
        }
        parts.Gone();
        if (Afterwards() is { } late && late != afterwards)
        {
            await late();
        }
    }

    private Func<Task>? Afterwards()
    {
        lock (_gate)
        {
            return _afterwards;
        }
    }

    /// <summary>Null when every byte is in the target.</summary>
    private async Task<MgmtException?> UntilConcludedAsync()
    {
        while (true)
        {
            if (parts.VmEnded.IsCompleted)
            {
                return VmEnded();
            }
            lock (_gate)
            {
                if (_givenUp is not null)
                {
                    return _givenUp;
                }
            }
            try
            {
                if (await AskAsync() is { Status: "concluded" } job)
                {
                    return job.Error is { } words ? DiskCommands.Failure(words, null) : null;
                }
            }
            catch (MgmtException e) when (e.Code is not ErrorCode.StoragePoolException)
            {
                // The monitor is connected anew, or the process has ended: seen next time.
            }
            catch (MgmtException e)
            {
                return e;
            }
            await SleepAsync();
        }
    }

    private async Task<DiskJob> AskAsync()
    {
        var job = (await parts.Commands().JobsAsync(CancellationToken.None)).FirstOrDefault(job => job.Id == parts.Names.Job)
            ?? throw new MgmtException(ErrorCode.StoragePoolException, "The copy of a disk was ended from outside");
        lock (_gate)
        {
            _progress = job.Progress;
        }
        return job;
    }

    private async Task SleepAsync()
    {
        using var limit = new CancellationTokenSource(Pause, parts.Time);
        try
        {
            var woken = _wake.Reader.ReadAsync(limit.Token).AsTask();
            await await Task.WhenAny(woken, parts.VmEnded);
            await limit.CancelAsync();
        }
        catch (OperationCanceledException)
        {
        }
    }

    private void Complete(MgmtException? failure)
    {
        if (failure is null)
        {
            _completed.TrySetResult();
            return;
        }
        _completed.TrySetException(failure);
        // Nobody need be waiting for it.
        _ = _completed.Task.Exception;
    }

    private static MgmtException VmEnded() => new(ErrorCode.MgmtUnavailableError, "The VM ended while its disk was copied");
}
