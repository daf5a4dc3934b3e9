using System.Globalization;
using Mgmt.Core;

namespace Mgmt.Wire;

/// <summary>A deadline that starts anew with every sign of life, joined with the caller's token.</summary>
internal sealed class IdleTimer : IDisposable
{
    private readonly TimeSpan _limit;
    private readonly CancellationToken _caller;
    private readonly CancellationTokenSource _timer;
    private readonly CancellationTokenSource _joined;

    public IdleTimer(TimeSpan limit, TimeProvider time, CancellationToken caller)
    {
        _limit = limit;
        _caller = caller;
        _timer = new CancellationTokenSource(limit, time);
        _joined = CancellationTokenSource.CreateLinkedTokenSource(_timer.Token, caller);
    }

    public CancellationToken Token => _joined.Token;

    public void Restart() => _timer.CancelAfter(_limit);

    /// <summary>Runs the work; when the deadline ends it, that is MgmtTimeoutError and not a cancellation.</summary>
    public async Task<T> Guard<T>(Func<Task<T>> work)
    {
        try
        {
            return await work();
        }
        catch (OperationCanceledException error) when (_timer.IsCancellationRequested && !_caller.IsCancellationRequested)
        {
            throw new MgmtException(error, ErrorCode.MgmtTimeoutError, "The daemon did not answer for %s s", _limit.TotalSeconds.ToString(CultureInfo.InvariantCulture));
        }
    }

    public void Dispose()
    {
        _joined.Dispose();
        _timer.Dispose();
    }
}
