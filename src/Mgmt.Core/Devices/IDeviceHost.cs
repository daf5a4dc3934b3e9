using System.Collections.Immutable;
using System.Threading.Channels;

namespace Mgmt.Core;

/// <summary>The devices of this host that can be given to VMs: those that the host does not use itself.</summary>
public interface IDeviceHost : IAsyncDisposable
{
    /// <summary>What there is now. Served from memory.</summary>
    ImmutableSortedDictionary<DeviceAddress, DeviceInfo> Devices { get; }

    /// <summary>Why some may be missing, or be seen late: sentences, of the last look. Served from memory.</summary>
    ImmutableArray<string> Problems { get; }

    /// <summary>What came and went since the first look; bounded, the oldest dropped. One reader.</summary>
    ChannelReader<DeviceChange> Changes { get; }

    /// <summary>
    /// Opens a device for a VM, looking at it anew: what the host uses meanwhile, or is another device than it was, is refused.
    /// ERRORS: QubesException (in use, changed), MgmtUnsupportedError (cannot be given away on this host), MgmtUnavailableError.
    /// </summary>
    Task<OpenDevice> OpenAsync(DeviceInfo device, bool readOnly, CancellationToken cancellation);
}

/// <summary>A host without devices.</summary>
public sealed class NoDevices : IDeviceHost
{
    private readonly Channel<DeviceChange> _changes = Channel.CreateBounded<DeviceChange>(1);

    /// <inheritdoc/>
    public ImmutableSortedDictionary<DeviceAddress, DeviceInfo> Devices => ImmutableSortedDictionary<DeviceAddress, DeviceInfo>.Empty;

    /// <inheritdoc/>
    public ImmutableArray<string> Problems => [];

    /// <inheritdoc/>
    public ChannelReader<DeviceChange> Changes => _changes.Reader;

    /// <inheritdoc/>
    public Task<OpenDevice> OpenAsync(DeviceInfo device, bool readOnly, CancellationToken cancellation) =>
        throw new MgmtException(ErrorCode.MgmtUnsupportedError, "This host has no devices");

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
