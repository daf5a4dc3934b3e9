using System.Text.Json;
using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Qemu;

/// <summary>Getting at the monitor of a QEMU that runs already.</summary>
internal static class MonitorAccess
{
    /// <summary>
    /// Connects through the first socket, else the second: the first one accepts and stays silent while anybody else is connected.
    /// ERRORS: MgmtUnavailableError, MgmtTimeoutError.
    /// </summary>
    public static async Task<QmpConnection> ConnectAsync(string vm, RunDirectory directory, TimeSpan deadline, TimeProvider time, ILogger log, CancellationToken cancellation)
    {
        try
        {
            return await QmpConnection.ConnectAsync(directory.MonitorSocket, deadline, time, log, cancellation);
        }
        catch (MgmtException e)
        {
            Log.TryingRescue(log, vm, e);
            return await QmpConnection.ConnectAsync(directory.RescueSocket, deadline, time, log, cancellation);
        }
    }

    /// <summary>The state of the virtual processors: Running, Suspended or Paused. ERRORS: as QmpConnection.ExecuteAsync.</summary>
    public static async Task<VmState> StateAsync(QmpConnection monitor, TimeSpan deadline, CancellationToken cancellation)
    {
        var status = await monitor.ExecuteAsync("query-status", null, deadline, cancellation);
        return status.Text("status") switch
        {
            "running" => VmState.Running,
            "suspended" => VmState.Suspended,
            _ => VmState.Paused,
        };
    }

    /// <summary>The guest's UUID as QEMU has it. ERRORS: as QmpConnection.ExecuteAsync; MgmtUnavailableError when it gives none.</summary>
    public static async Task<Guid> UuidAsync(QmpConnection monitor, TimeSpan deadline, CancellationToken cancellation)
    {
        var answer = await monitor.ExecuteAsync("query-uuid", null, deadline, cancellation);
        return Guid.TryParse(answer.Text("UUID"), out var uuid) ? uuid : throw new MgmtException(ErrorCode.MgmtUnavailableError, "QEMU gives no UUID");
    }

    /// <summary>The guest's memory at start in KiB; 0 when QEMU does not say. ERRORS: as QmpConnection.ExecuteAsync.</summary>
    public static async Task<long> MemoryKiBAsync(QmpConnection monitor, TimeSpan deadline, CancellationToken cancellation)
    {
        var answer = await monitor.ExecuteAsync("query-memory-size-summary", null, deadline, cancellation);
        return answer.ValueKind == JsonValueKind.Object && answer.TryGetProperty("base-memory", out var bytes) && bytes.TryGetInt64(out var size) ? size / 1024 : 0;
    }
}
