namespace Mgmt.TestHost;

/// <summary>Waiting on an injected clock.</summary>
internal static class Waiting
{
    /// <summary>Waits; zero goes on at once, so that a host without delays needs no clock that moves.</summary>
    public static Task Wait(this TimeProvider time, TimeSpan delay, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        return delay > TimeSpan.Zero ? Task.Delay(delay, time, cancellation) : Task.CompletedTask;
    }

    /// <summary>What has nothing to wait for, as a task: whatever it throws is the task's, as from any async method.</summary>
    public static Task Now(Action act, CancellationToken cancellation) => Now<object?>(
        () =>
        {
            act();
            return null;
        },
        cancellation);

    /// <summary>As above, with a result.</summary>
    public static async Task<T> Now<T>(Func<T> act, CancellationToken cancellation)
    {
        await Task.CompletedTask;
        cancellation.ThrowIfCancellationRequested();
        return act();
    }
}
