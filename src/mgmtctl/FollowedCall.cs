using System.Globalization;
using Mgmt.Cli.Rendering;
using Mgmt.Core;

namespace Mgmt.Cli;

/// <summary>
/// A call that takes long, with the daemon's <c>progress</c> events of it shown meanwhile. The stream is open before the call is made, so none is missed; without
/// somebody who looks there is none. A caller who may not see events makes the call all the same.
/// </summary>
internal sealed class FollowedCall
{
    public required string Title { get; init; }

    /// <summary>What the events call it: clone, snapshot.</summary>
    public required string Operation { get; init; }

    /// <summary>The VMs that the events may be about.</summary>
    public required string[] Vms { get; init; }

    public required bool PlainLines { get; init; }

    public Task<ReadOnlyMemory<byte>> RunAsync(Run run, Func<Task<ReadOnlyMemory<byte>>> call, CancellationToken cancellationToken) =>
        ProgressBar.RunAsync(run, Title, 0, PlainLines, progress => progress is null ? call() : FollowAsync(run, progress, call, cancellationToken));

    private async Task<ReadOnlyMemory<byte>> FollowAsync(Run run, IProgress<CopyProgress> progress, Func<Task<ReadOnlyMemory<byte>>> call, CancellationToken cancellationToken)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var watching = WatchAsync(run, progress, open, over.Token);
        await Task.WhenAny(open.Task, watching);
        ReadOnlyMemory<byte> answer;
        long seen;
        try
        {
            answer = await call();
        }
        finally
        {
            await over.CancelAsync();
            seen = await watching;
        }
        if (seen > 0)
        {
            // The answer may come before the last event.
            progress.Report(new CopyProgress(seen, seen));
        }
        return answer;
    }

    /// <summary>Gives the last total that was told; 0 when there was none.</summary>
    private async Task<long> WatchAsync(Run run, IProgress<CopyProgress> progress, TaskCompletionSource open, CancellationToken cancellationToken)
    {
        var filter = new EventFilter { SinceNow = true, Subjects = [.. Vms], Patterns = ["progress"] };
        string? id = null;
        var total = 0L;
        try
        {
            await foreach (var next in run.Daemon.EventsAsync(Daemon.Host, filter, cancellationToken))
            {
                open.TrySetResult();
                // The first that begins is ours, or as good as: who else does the same to the same VM is told apart by the id from there on.
                if (next.Name == "progress" && next["operation"]?.Contains(Operation, StringComparison.Ordinal) == true && (id ??= next["id"]) == next["id"])
                {
                    total = Number(next["total"]);
                    progress.Report(new CopyProgress(Number(next["done"]), total));
                }
            }
        }
        catch (Exception error) when (error is MgmtException or OperationCanceledException)
        {
            // Progress is a courtesy: what is wrong with the daemon, the call itself says.
        }
        return total;
    }

    private static long Number(string? text) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;
}
