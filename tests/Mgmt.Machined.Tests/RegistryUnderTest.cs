using System.Collections.Concurrent;
using System.Threading.Channels;
using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Machined.Tests;

/// <summary>A registry whose log lines wake those who wait for a state.</summary>
internal sealed class RegistryUnderTest : ILogger<MachinedRegistry>, IAsyncDisposable
{
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);
    private readonly ConcurrentQueue<string> _log = new();
    private readonly Channel<string> _lines = Channel.CreateUnbounded<string>();

    public RegistryUnderTest(string address, bool enabled = true)
    {
        Registry = new MachinedRegistry(new MachinedOptions { BusAddress = address, Enabled = enabled }, TimeProvider.System, this);
    }

    public MachinedRegistry Registry { get; }

    public static async Task<RegistryUnderTest> ReadyAsync(string address)
    {
        var registry = new RegistryUnderTest(address);
        registry.Registry.Start();
        await registry.UntilAsync("ok");
        return registry;
    }

    /// <summary>Waits for a state; every change of state is a log line.</summary>
    public async Task UntilAsync(string state)
    {
        using var limit = new CancellationTokenSource(Deadline);
        while (Registry.Status.State != state)
        {
            await _lines.Reader.ReadAsync(limit.Token);
        }
    }

    /// <summary>Waits for a log line with that text.</summary>
    public async Task UntilLoggedAsync(string text)
    {
        using var limit = new CancellationTokenSource(Deadline);
        while (!(await _lines.Reader.ReadAsync(limit.Token)).Contains(text, StringComparison.Ordinal))
        {
        }
    }

    /// <summary>The next change of a leader's machine. The end of another test's machine may be told at any time.</summary>
    public async Task<MachineChange> ChangeAsync(Leader leader)
    {
        using var limit = new CancellationTokenSource(Deadline);
        while (true)
        {
            var change = await Registry.Changes.ReadAsync(limit.Token);
            if (change.Name == leader.MachineName)
            {
                return change;
            }
        }
    }

    public Task<MachineScope> PlaceAsync(Leader leader) => Registry.PlaceAsync(leader.Request, CancellationToken.None);

    public Task<bool?> OwnsAsync(Leader leader) =>
        Registry.OwnsAsync(leader.MachineName, leader.Request.Uuid, leader.Request.LeaderPid, CancellationToken.None);

    /// <summary>Disposes it; of a failed test the log is shown.</summary>
    public async ValueTask DisposeAsync()
    {
        await Registry.DisposeAsync();
        if (TestContext.CurrentContext.Result.Outcome.Status == NUnit.Framework.Interfaces.TestStatus.Failed)
        {
            TestContext.Out.WriteLine(string.Join('\n', _log));
        }
    }

    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        var line = formatter(state, exception);
        _log.Enqueue($"{DateTime.UtcNow:ss.fff} {line} {exception}");
        _lines.Writer.TryWrite(line);
    }
}
