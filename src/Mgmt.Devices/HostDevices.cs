using System.Collections.Immutable;
using System.Globalization;
using System.Threading.Channels;
using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Devices;

/// <summary>The devices of this host, looked at again whenever the kernel, a mount or an exported directory gives reason to. SOURCE: docs/devices.md.</summary>
public sealed class HostDevices : IDeviceHost
{
    // At the bound the oldest change is dropped: who reads late looks at Devices.
    private const int MaxChanges = 1024;
    private const int MaxDevices = 1024;

    private readonly HostDeviceOptions _options;
    private readonly ILogger<HostDevices> _log;
    private readonly TimeProvider _time;
    private readonly ImmutableArray<IHostClass> _classes;
    private readonly Channel<DeviceChange> _changes = Channel.CreateBounded<DeviceChange>(new BoundedChannelOptions(MaxChanges) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
    private readonly Channel<bool> _wakes = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true });
    private readonly CancellationTokenSource _stop = new();
    private readonly List<FileSystemWatcher> _directories = [];
    private readonly List<string> _notFollowed = [];
    private readonly KernelEvents? _kernel;
    private readonly Task _loop;
    private ImmutableSortedDictionary<DeviceAddress, DeviceInfo> _devices;
    private IReadOnlyList<string> _problems = [];

    /// <summary>Looks once, then follows.</summary>
    public HostDevices(HostDeviceOptions options, ILogger<HostDevices> log, TimeProvider time)
    {
        _options = options;
        _log = log;
        _time = time;
        _classes = [new BlockDevices(options), new ExportedFiles(options), new UsbDevices(options), new PciDevices(options), new Microphones(options)];
        _kernel = options.FollowKernel ? KernelEvents.TryStart(Wake) : null;
        if (options.FollowKernel && _kernel is null)
        {
            Log.NotFollowing(log);
            _notFollowed.Add($"the kernel's device events cannot be followed: devices that come and go are seen {Pace}");
        }
        FollowDirectories();
        _devices = Look();
        _problems = Problem();
        _loop = Task.Run(FollowAsync);
    }

    /// <inheritdoc/>
    public ImmutableSortedDictionary<DeviceAddress, DeviceInfo> Devices => Volatile.Read(ref _devices);

    /// <inheritdoc/>
    public ImmutableArray<string> Problems => [.. Volatile.Read(ref _problems)];

    /// <inheritdoc/>
    public ChannelReader<DeviceChange> Changes => _changes.Reader;

    private string Pace => string.Create(CultureInfo.InvariantCulture, $"every {_options.Interval.TotalSeconds:0.#} s only");

    /// <inheritdoc/>
    public Task<OpenDevice> OpenAsync(DeviceInfo device, bool readOnly, CancellationToken cancellation) => Task.Run(() => Open(device, readOnly), cancellation);

    /// <summary>Stops following.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _directories.ForEach(watcher => watcher.Dispose());
        _kernel?.Dispose();
        await _loop;
        _changes.Writer.TryComplete();
        _stop.Dispose();
    }

    private OpenDevice Open(DeviceInfo device, bool readOnly)
    {
        // Anew: since the last look the host may have taken it into use, or somebody may have changed what is plugged in.
        if (!Look().TryGetValue(device.Address, out var now))
        {
            throw new MgmtException(ErrorCode.QubesException, "%s is not there any more, or the host uses it", device.Address.ToString());
        }
        if (!IsSame(now, device))
        {
            throw new MgmtException(ErrorCode.QubesException, "%s is another device than it was", device.Address.ToString());
        }
        foreach (var one in _classes)
        {
            if (one.Open(now, readOnly) is { } open)
            {
                return open;
            }
        }
        throw new MgmtException(ErrorCode.MgmtUnsupportedError, "Devices of class %s cannot be given to a VM here", device.Address.Class.Name);
    }

    private ImmutableSortedDictionary<DeviceAddress, DeviceInfo> Look()
    {
        var found = ImmutableSortedDictionary.CreateBuilder<DeviceAddress, DeviceInfo>();
        foreach (var device in _classes.SelectMany(one => one.List()).Take(MaxDevices))
        {
            found.TryAdd(device.Address, device);
        }
        return found.ToImmutable();
    }

    private IReadOnlyList<string> Problem() => [.. _notFollowed, .. _classes.SelectMany(one => one.Problems())];

    private async Task FollowAsync()
    {
        try
        {
            while (true)
            {
                await Task.WhenAny(_wakes.Reader.WaitToReadAsync(_stop.Token).AsTask(), Task.Delay(_options.Interval, _time, _stop.Token));
                await Task.Delay(_options.Gathering, _time, _stop.Token);
                _wakes.Reader.TryRead(out _);
                Compare();
            }
        }
        catch (OperationCanceledException)
        {
            // Disposed.
        }
    }

    private void Compare()
    {
        try
        {
            var (before, after) = (_devices, Look());
            Volatile.Write(ref _devices, after);
            Volatile.Write(ref _problems, Problem());
            foreach (var gone in before.Values.Where(device => !after.TryGetValue(device.Address, out var now) || !IsSame(now, device)))
            {
                _changes.Writer.TryWrite(new(gone, false));
            }
            foreach (var come in after.Values.Where(device => !before.TryGetValue(device.Address, out var was) || !IsSame(was, device)))
            {
                _changes.Writer.TryWrite(new(come, true));
            }
        }
        catch (Exception error)
        {
            Log.LookFailed(_log, error);
            Volatile.Write(ref _problems, [.. _notFollowed, $"the last look at the devices of the host failed: {error.Message}"]);
        }
    }

    private void FollowDirectories()
    {
        foreach (var path in _options.ExportedFiles)
        {
            try
            {
                var watcher = new FileSystemWatcher(path) { NotifyFilter = NotifyFilters.FileName | NotifyFilters.Size };
                watcher.Created += (_, _) => Wake();
                watcher.Deleted += (_, _) => Wake();
                watcher.Renamed += (_, _) => Wake();
                watcher.Changed += (_, _) => Wake();
                watcher.EnableRaisingEvents = true;
                _directories.Add(watcher);
            }
            catch (Exception error) when (error is IOException or ArgumentException or UnauthorizedAccessException)
            {
                Log.DirectoryNotFollowed(_log, path, error);
                _notFollowed.Add($"directory {path} of exported-files cannot be followed: files that come and go there are seen {Pace}");
            }
        }
    }

    private static bool IsSame(DeviceInfo one, DeviceInfo other) =>
        one.DeviceId == other.DeviceId && one.Facts.GetValueOrDefault("number") == other.Facts.GetValueOrDefault("number");

    private void Wake() => _wakes.Writer.TryWrite(true);
}
