namespace Mgmt.Daemon.Tests;

/// <summary>Waits for what no event tells.</summary>
internal static class TestUntil
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    internal static async Task TrueAsync(Func<Task<bool>> condition)
    {
        using var limit = new CancellationTokenSource(Deadline);
        while (!await condition())
        {
            await Task.Delay(50, limit.Token);
        }
    }
}
