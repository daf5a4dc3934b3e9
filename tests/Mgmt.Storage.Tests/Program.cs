using System.Globalization;
using Microsoft.Testing.Platform.Builder;

namespace Mgmt.Storage.Tests;

/// <summary>Runs the tests or, with <c>--victim DRIVER DIRECTORY OPERATION STEP</c>, is the process that kills itself at that step.</summary>
internal static class Program
{
    private static async Task<int> Main(string[] args)
    {
        if (args is ["--victim", var driver, var directory, var operation, var step])
        {
            return await Victim.RunAsync(driver, directory, operation, int.Parse(step, CultureInfo.InvariantCulture));
        }
        var builder = await TestApplication.CreateBuilderAsync(args);
        SelfRegisteredExtensions.AddSelfRegisteredExtensions(builder, args);
        using var app = await builder.BuildAsync();
        return await app.RunAsync();
    }
}
