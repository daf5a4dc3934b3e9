using Mgmt.Core;
using Mgmt.TestHost;
using Microsoft.Extensions.Logging;

namespace Mgmt.Daemon;

/// <summary>
/// The platform while it is being opened: a test host's document is read, or QEMU and KVM are tried, while the store and the policy
/// are loaded. Disposing ends the platform, also when nobody waited for it.
/// </summary>
internal sealed class PlatformOpening : IAsyncDisposable
{
    private readonly Lazy<TestHostDefinition>? _test;
    private readonly Task<Platform> _platform;

    private PlatformOpening(DaemonSettings settings, TimeProvider clock, ILoggerFactory logs)
    {
        _test = settings.IsTest ? new(() => TestHostDefinition.Load(settings.Backend, clock)) : null;
        _platform = Task.Run(() => _test is null ? Platform.OpenQemuAsync(settings, clock, logs, CancellationToken.None) : Task.FromResult(Platform.OfTest(_test.Value)));
    }

    internal static PlatformOpening Begin(DaemonSettings settings, TimeProvider clock, ILoggerFactory logs) => new(settings, clock, logs);

    /// <summary>What a new store begins with; waits for a test host's document. ERRORS: MgmtException with a sentence.</summary>
    internal HostSeed Seed() => _test?.Value.Seed ?? Platform.FreshHost;

    /// <summary>ERRORS: MgmtException with a sentence.</summary>
    internal Task<Platform> OpenedAsync() => _platform;

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAny(_platform);
        if (_platform.IsCompletedSuccessfully)
        {
            var platform = await _platform;
            await platform.Devices.DisposeAsync();
            await platform.Machines.DisposeAsync();
            await platform.Backend.DisposeAsync();
        }
    }
}
