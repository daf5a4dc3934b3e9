using System.Diagnostics;
using Microsoft.Testing.Platform.Builder;

namespace Mgmt.State.Tests;

/// <summary>
/// Runs the tests or, with <c>--victim DIRECTORY</c>, is the process that the kill tests kill; with
/// <c>--load DIRECTORY</c> it opens a store and says how long that took in a fresh process and what it holds.
/// </summary>
internal static class Program
{
    private static async Task<int> Main(string[] args)
    {
        if (args is ["--victim", var directory])
        {
            return await Victim.RunAsync(directory);
        }
        if (args is ["--load", var loaded])
        {
            return await LoadAsync(loaded);
        }
        var builder = await TestApplication.CreateBuilderAsync(args);
        SelfRegisteredExtensions.AddSelfRegisteredExtensions(builder, args);
        using var app = await builder.BuildAsync();
        return await app.RunAsync();
    }

    private static async Task<int> LoadAsync(string directory)
    {
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var watch = Stopwatch.StartNew();
        await using var store = await StateStore.OpenAsync(new() { Directory = directory }, CancellationToken.None);
        var milliseconds = watch.ElapsedMilliseconds;
        Console.WriteLine($"{store.Current.Vms.Count} {milliseconds} {GC.GetTotalMemory(forceFullCollection: true) - before}");
        return 0;
    }
}
