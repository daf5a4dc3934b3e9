using Microsoft.Testing.Platform.Builder;

namespace Mgmt.State.Tests;

/// <summary>Runs the tests or, with <c>--victim DIRECTORY</c>, is the process that the kill tests kill.</summary>
internal static class Program
{
    private static async Task<int> Main(string[] args)
    {
        if (args is ["--victim", var directory])
        {
            return await Victim.RunAsync(directory);
        }
        var builder = await TestApplication.CreateBuilderAsync(args);
        SelfRegisteredExtensions.AddSelfRegisteredExtensions(builder, args);
        using var app = await builder.BuildAsync();
        return await app.RunAsync();
    }
}
