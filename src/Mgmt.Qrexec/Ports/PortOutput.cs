namespace Mgmt.Qrexec;

/// <summary>
/// Writing to a port: one writer at a time, each under a deadline. What is given up half-way leaves a message unfinished, and only a mark may follow it. A guest that takes nothing
/// loses the connection, so that it learns of it.
/// </summary>
internal sealed class PortOutput(Stream stream, TimeSpan deadline, TimeProvider clock)
{
    private readonly SemaphoreSlim _gate = new(1, 1);

    /// <summary>
    /// Writes all of it; false, and nothing, when <paramref name="mayWrite"/> is false by then. ERRORS: OperationCanceledException; TimeoutException; IOException.
    /// </summary>
    internal async ValueTask<bool> WriteAsync(ReadOnlyMemory<byte> bytes, Func<bool> mayWrite, CancellationToken cancellation)
    {
        await _gate.WaitAsync(cancellation);
        try
        {
            if (!mayWrite())
            {
                return false;
            }
            using var limit = new CancellationTokenSource(deadline, clock);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellation);
            try
            {
                await stream.WriteAsync(bytes, either.Token);
                return true;
            }
            catch (OperationCanceledException error) when (limit.IsCancellationRequested && !cancellation.IsCancellationRequested)
            {
                await stream.DisposeAsync();
                throw new TimeoutException("the guest takes nothing", error);
            }
            catch (ObjectDisposedException error)
            {
                throw new IOException("the connection was given up", error);
            }
        }
        finally
        {
            _gate.Release();
        }
    }
}
