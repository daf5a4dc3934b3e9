using System.Globalization;
using Mgmt.Core;

namespace Mgmt.State.Tests;

/// <summary>
/// Applies changes from several callers at once and writes a line to standard output for each that was acknowledged,
/// until it is killed. Change N sets property <c>pN</c> to N and emits an event <c>changed</c> with n=N.
/// </summary>
internal static class Victim
{
    internal const int Changes = 1_000;
    private const int Callers = 8;

    internal static async Task<int> RunAsync(string directory)
    {
        await using var store = await StateStore.OpenAsync(new() { Directory = directory }, CancellationToken.None);
        await using var output = Console.OpenStandardOutput();
        var gate = new Lock();
        var next = 0;
        await Task.WhenAll(Enumerable.Range(0, Callers).Select(_ => Task.Run(async () =>
        {
            for (int n; (n = Interlocked.Increment(ref next)) <= Changes;)
            {
                var text = n.ToString(CultureInfo.InvariantCulture);
                await store.ApplyAsync(
                    change =>
                    {
                        change.SetProperty("p" + text, text);
                        change.Emit(MgmtEvent.Global("changed", ("n", text)));
                    },
                    CancellationToken.None);
                lock (gate)
                {
                    output.Write(System.Text.Encoding.ASCII.GetBytes(text + "\n"));
                    output.Flush();
                }
            }
        })));
        return 0;
    }
}
