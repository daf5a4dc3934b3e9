using System.ComponentModel;
using System.Globalization;
using System.Net.Sockets;
using System.Text.Json;
using Mgmt.Core;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Qemu;

internal sealed partial class QmpConnection
{
    /// <summary>
    /// Gives QEMU a descriptor of an open file, in a set of its own that is marked with <paramref name="mark"/>; the result is the set's number,
    /// for <c>/dev/fdset/N</c>. The file stays the caller's, open until this returns. ERRORS: as <see cref="ExecuteAsync(string, string?, TimeSpan, CancellationToken)"/>.
    /// </summary>
    public async Task<long> AddFileAsync(SafeFileHandle file, string mark, TimeSpan deadline, CancellationToken cancellation)
    {
        var answer = await ExecuteAsync("add-fd", string.Create(CultureInfo.InvariantCulture, $$"""{"opaque":"{{mark}}"}"""), file, deadline, cancellation);
        return answer.ValueKind == JsonValueKind.Object && answer.TryGetProperty("fdset-id", out var set) && set.ValueKind == JsonValueKind.Number && set.TryGetInt64(out var number)
            ? number
            : throw new MgmtException(ErrorCode.MgmtUnavailableError, "QEMU does not say where it put a file");
    }

    /// <summary>Gives QEMU a descriptor by a name, which the next command that says it takes. The file stays the caller's, open until this returns. ERRORS: as above.</summary>
    public Task GiveFileAsync(SafeFileHandle file, string name, TimeSpan deadline, CancellationToken cancellation) =>
        ExecuteAsync("getfd", $$"""{"fdname":"{{name}}"}""", file, deadline, cancellation);

    /// <summary>How many of the bytes went. All of them when there is nobody to send them for: then the command is left out.</summary>
    private int SendWith(SafeFileHandle file, byte[] bytes)
    {
        try
        {
            return PassedFile.Send(((NetworkStream)_stream).Socket.SafeHandle, bytes, file);
        }
        catch (Exception e) when (e is Win32Exception or ObjectDisposedException)
        {
            // Its caller has given up and closed the file, or QEMU does not read and the caller's deadline says so.
            return bytes.Length;
        }
    }
}
