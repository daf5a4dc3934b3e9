using System.Globalization;
using System.Net.Sockets;
using System.Text.Json;
using Mgmt.Core;

namespace Mgmt.Qemu;

/// <summary>
/// The guest ports of a VM: sockets in its run directory, which only the daemon enters and on which its QEMU listens. SOURCE: QEMU's query-chardev and VSERPORT_CHANGE.
/// </summary>
internal sealed class QemuPorts(RunDirectory directory, Func<QmpConnection> monitor, TimeSpan commandTimeout) : IGuestPorts
{
    // By port: 0 when nothing was told of it yet, 1 closed, 2 open.
    private readonly int[] _told = new int[directory.GuestPorts];

    /// <inheritdoc/>
    public event Action<GuestPortChange>? Changed;

    /// <inheritdoc/>
    public int Count { get; } = directory.GuestPorts;

    /// <inheritdoc/>
    public int AgentCount { get; } = directory.GuestAgentPorts;

    /// <inheritdoc/>
    public Task<Stream> ConnectAsync(int port, CancellationToken cancellation) => ConnectAsync(directory.GuestPortSocket(port), port, cancellation);

    /// <inheritdoc/>
    public Task<Stream> ConnectAgentAsync(int port, CancellationToken cancellation) => ConnectAsync(directory.GuestAgentSocket(port), port, cancellation);

    /// <inheritdoc/>
    public async Task<bool> IsOpenAsync(int port, CancellationToken cancellation) =>
        Opened(await monitor().ExecuteAsync("query-chardev", null, commandTimeout, cancellation)).Contains(QemuCommandLine.GuestPortPrefix + Text(port));

    /// <inheritdoc/>
    public bool? IsOpen(int port) => Volatile.Read(ref _told[port]) is var told and > 0 ? told == 2 : null;

    /// <summary>QEMU says that the guest opened or closed the port of that id.</summary>
    internal void Told(string id, bool isOpen, DateTimeOffset? at)
    {
        if (id.StartsWith(QemuCommandLine.GuestPortPrefix, StringComparison.Ordinal)
            && int.TryParse(id.AsSpan(QemuCommandLine.GuestPortPrefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port < Count)
        {
            Volatile.Write(ref _told[port], isOpen ? 2 : 1);
            Changed?.Invoke(new(port, isOpen, at));
        }
    }

    /// <summary>Asks for all of them, where what was told may have been missed. ERRORS: MgmtTimeoutError, MgmtUnavailableError.</summary>
    internal async Task RefreshAsync(QmpConnection connection, CancellationToken cancellation)
    {
        if (Count == 0)
        {
            return;
        }
        var open = Opened(await connection.ExecuteAsync("query-chardev", null, commandTimeout, cancellation));
        for (var port = 0; port < Count; port++)
        {
            var id = QemuCommandLine.GuestPortPrefix + Text(port);
            Told(id, open.Contains(id), at: null);
        }
    }

    private static HashSet<string> Opened(JsonElement devices) => devices.ValueKind != JsonValueKind.Array ? [] : devices.EnumerateArray()
        .Where(device => device.TryGetProperty("frontend-open", out var open) && open.ValueKind == JsonValueKind.True).Select(device => device.Text("label") ?? "").ToHashSet(StringComparer.Ordinal);

    private static async Task<Stream> ConnectAsync(string path, int port, CancellationToken cancellation)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch (SocketException error)
        {
            socket.Dispose();
            throw new MgmtException(error, ErrorCode.MgmtUnavailableError, "the VM's process takes no connection to port %s", Text(port));
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static string Text(int port) => port.ToString(CultureInfo.InvariantCulture);
}
