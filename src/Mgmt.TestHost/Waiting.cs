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
}
