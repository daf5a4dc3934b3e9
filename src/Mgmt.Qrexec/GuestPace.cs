namespace Mgmt.Qrexec;

/// <summary>
/// How fast a guest may be refused, on all its channels together: some <see cref="Burst"/> times at once and then <see cref="PerSecond"/> a second. Each refusal leaves a line in the audit
/// log, so without a pace a guest could fill a disk of the host's as fast as it calls. Beyond it its next calls wait to be begun, and nobody else's do.
/// </summary>
public sealed class GuestPace(TimeProvider clock)
{
    /// <summary>Refusals a second.</summary>
    public const int PerSecond = 20;

    /// <summary>Refusals at once, by a guest that was not refused for a while.</summary>
    public const int Burst = 200;

    private static readonly TimeSpan Step = TimeSpan.FromSeconds(1.0 / PerSecond);
    private static readonly TimeSpan Slack = Step * Burst;
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(1);
    private readonly Lock _gate = new();
    // Under the gate: when all refusals so far would be over if there were one each step.
    private TimeSpan _over;

    /// <summary>A call was refused, or what was said broke the protocol.</summary>
    public void Refused()
    {
        lock (_gate)
        {
            _over = (_over > Now ? _over : Now) + Step;
        }
    }

    /// <summary>Waits until the next call may begin; at once for a guest that is not refused much. ERRORS: OperationCanceledException.</summary>
    public async ValueTask WaitAsync(CancellationToken cancellation)
    {
        while (Left() is var left && left > TimeSpan.Zero)
        {
            await Task.Delay(left + Tick, clock, cancellation);
        }
    }

    private TimeSpan Now => clock.GetElapsedTime(0);

    private TimeSpan Left()
    {
        lock (_gate)
        {
            return _over - Now - Slack;
        }
    }
}
