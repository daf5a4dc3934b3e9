using System.Collections.Concurrent;
using Mgmt.Machined.Bus;

namespace Mgmt.Machined;

/// <summary>
/// Waits for jobs of systemd. StartTransientUnit answers when the job is queued; only JobRemoved says that the process
/// is in its scope. systemd sends it to whoever queued the job, always after that answer.
/// </summary>
internal sealed class JobWatch
{
    private readonly ConcurrentDictionary<string, TaskCompletionSource<string>> _jobs = new();

    public BusMatch Match => new(
        $"type='signal',sender='{MachineCalls.Systemd}',path='{MachineCalls.SystemdPath}',interface='{MachineCalls.SystemdManager}',member='JobRemoved'",
        OnJobRemoved);

    /// <summary>Reads the answer to StartTransientUnit; called on the bus thread, hence before the signal is.</summary>
    public Job Expect(BusReader reader)
    {
        var path = reader.ObjectPath();
        return new Job(path, _jobs.GetOrAdd(path, _ => new(TaskCreationOptions.RunContinuationsAsynchronously)).Task);
    }

    public void Forget(Job job) => _jobs.TryRemove(job.Path, out _);

    // JobRemoved(u id, o job, s unit, s result)
    private void OnJobRemoved(BusReader reader)
    {
        if (_jobs.IsEmpty)
        {
            return;
        }
        reader.UInt32();
        if (_jobs.TryRemove(reader.ObjectPath(), out var waiter))
        {
            reader.String();
            waiter.SetResult(reader.String());
        }
    }

    /// <summary>A queued job; Result becomes <c>done</c> or a word of failure.</summary>
    internal sealed record Job(string Path, Task<string> Result);
}
