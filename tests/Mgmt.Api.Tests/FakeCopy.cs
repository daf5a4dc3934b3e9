using Mgmt.Core;

namespace Mgmt.Api.Tests;

/// <summary>A copy that is complete when the test says so; at once if not told otherwise.</summary>
internal sealed class FakeCopy : IDiskCopy
{
    private readonly TaskCompletionSource _completed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal FakeCopy(bool held = false)
    {
        if (!held)
        {
            _completed.SetResult();
        }
    }

    public CopyProgress Progress { get; set; } = new(0, 0);

    public Task Completed => _completed.Task;

    internal bool IsDisposed { get; private set; }

    internal void End(MgmtException? error)
    {
        if (error is null)
        {
            _completed.TrySetResult();
        }
        else
        {
            _completed.TrySetException(error);
        }
    }

    public ValueTask DisposeAsync()
    {
        IsDisposed = true;
        _completed.TrySetException(new MgmtException(ErrorCode.MgmtCancelledError, "cancelled"));
        _ = _completed.Task.Exception;
        return ValueTask.CompletedTask;
    }
}
