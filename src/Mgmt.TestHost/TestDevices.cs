using System.Collections.Immutable;
using System.Threading.Channels;
using Mgmt.Core;

namespace Mgmt.TestHost;

/// <summary>The devices of a host in memory: those of the document, and what a test plugs in and pulls out.</summary>
public sealed class TestDevices : IDeviceHost
{
    private readonly Channel<DeviceChange> _changes = Channel.CreateUnbounded<DeviceChange>();
    private readonly Lock _gate = new();
    private ImmutableSortedDictionary<DeviceAddress, DeviceInfo> _devices;

    internal TestDevices(ImmutableSortedDictionary<DeviceAddress, DeviceInfo> devices) => _devices = devices;

    /// <inheritdoc/>
    public ImmutableSortedDictionary<DeviceAddress, DeviceInfo> Devices => Volatile.Read(ref _devices);

    /// <summary>What a test says is wrong.</summary>
    public ImmutableArray<string> Problems { get; set; } = [];

    /// <inheritdoc/>
    public ChannelReader<DeviceChange> Changes => _changes.Reader;

    /// <inheritdoc/>
    public Task<OpenDevice> OpenAsync(DeviceInfo device, bool readOnly, CancellationToken cancellation) => Devices.ContainsKey(device.Address)
        ? Task.FromResult<OpenDevice>(new OpenDevice.Imaginary())
        : throw new MgmtException(ErrorCode.QubesException, "%s is not there any more", device.Address.ToString());

    /// <summary>Adds a device.</summary>
    public void PlugIn(DeviceInfo device)
    {
        lock (_gate)
        {
            _devices = _devices.SetItem(device.Address, device);
            _changes.Writer.TryWrite(new(device, true));
        }
    }

    /// <summary>Takes a device away.</summary>
    public void PullOut(DeviceAddress device)
    {
        lock (_gate)
        {
            if (_devices.TryGetValue(device, out var gone))
            {
                _devices = _devices.Remove(device);
                _changes.Writer.TryWrite(new(gone, false));
            }
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _changes.Writer.TryComplete();
        return ValueTask.CompletedTask;
    }
}
