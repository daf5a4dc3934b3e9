namespace Mgmt.Qemu;

/// <summary>Takes away what copies made in QEMU, finished or not, ours or a dead daemon's. May be repeated.</summary>
internal static class CopyRemains
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    /// <summary>Ends the jobs whose names begin with the prefix, then removes the nodes and the descriptors. ERRORS: those of <see cref="QmpConnection"/>.</summary>
    public static async Task RemoveAsync(DiskCommands commands, string prefix, TimeProvider time, CancellationToken cancellation)
    {
        while (await EndJobsAsync(commands, prefix, cancellation) > 0)
        {
            await Task.Delay(Pause, time, cancellation);
        }
        var nodes = (await commands.NodesAsync(cancellation)).Where(node => node.StartsWith(prefix, StringComparison.Ordinal));
        // What stands on another first.
        foreach (var node in nodes.OrderBy(node => node.EndsWith(CopyNames.FileEnd, StringComparison.Ordinal)).ThenBy(node => node, StringComparer.Ordinal))
        {
            await commands.RemoveNodeAsync(node, cancellation);
        }
        foreach (var set in await commands.FileSetsAsync(prefix, cancellation))
        {
            await commands.RemoveFileAsync(set, cancellation);
        }
    }

    /// <summary>Gives how many there were.</summary>
    private static async Task<int> EndJobsAsync(DiskCommands commands, string prefix, CancellationToken cancellation)
    {
        var jobs = (await commands.JobsAsync(cancellation)).Where(job => job.Id.StartsWith(prefix, StringComparison.Ordinal)).ToList();
        foreach (var job in jobs)
        {
            if (job.Status == "concluded")
            {
                await commands.DismissAsync(job.Id, cancellation);
            }
            else if (job.Status is not ("aborting" or "waiting" or "pending" or "null"))
            {
                await commands.CancelAsync(job.Id, cancellation);
            }
        }
        return jobs.Count;
    }
}
