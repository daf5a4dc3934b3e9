using NUnit.Framework;

namespace Mgmt.Testing;

/// <summary>What a test needs of the machine it runs on.</summary>
public static class Requirement
{
    /// <summary>A program has to be in PATH.</summary>
    public static void Program(string name)
    {
        if (!(Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(directory => File.Exists(Path.Combine(directory, name))))
        {
            Missing($"{name} is missing");
        }
    }

    /// <summary>Something is not there: the test is ignored by name, and on CI (environment variable CI set) fails.</summary>
    public static void Missing(string what)
    {
        if (Environment.GetEnvironmentVariable("CI") is { Length: > 0 })
        {
            Assert.Fail(what);
        }
        Assert.Ignore(what);
    }
}
