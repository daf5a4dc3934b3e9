using System.Net.Sockets;
using System.Text.Json;
using Mgmt.Core;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Qemu;

/// <summary>
/// The serial console of one VM. While nobody looks it is a ring in QEMU's memory, which costs nothing and holds the last 64 KiB; for somebody who does, QEMU is told to put a socket in its
/// place, and afterwards a ring again. Nothing that a guest prints can fill the host, and a daemon that dies leaves a console that prints to nobody until the next one adopts the VM.
/// SOURCE: QEMU QMP Reference, ringbuf-read, getfd, chardev-change.
/// </summary>
internal sealed class SerialConsole(Func<QmpConnection> monitor, TimeSpan deadline)
{
    private const string Descriptor = "mgmt-console";
    private const string ToSocket = $$$$"""{"id":"console","backend":{"type":"socket","data":{"addr":{"type":"fd","data":{"str":"{{{{Descriptor}}}}"}},"server":false}}}""";
    private const string ToRing = """{"id":"console","backend":{"type":"ringbuf","data":{"size":65536}}}""";

    private int _isOpen;

    /// <summary>Opens it: what was printed last, then what is printed; what is written, the guest reads. ERRORS: MgmtBusyError (somebody has it), MgmtUnavailableError, MgmtTimeoutError.</summary>
    public async Task<Stream> OpenAsync(CancellationToken cancellation)
    {
        if (Interlocked.Exchange(ref _isOpen, 1) != 0)
        {
            throw new MgmtException(ErrorCode.MgmtBusyError, "Somebody has the console already");
        }
        try
        {
            var last = await LastAsync(cancellation);
            var (ours, theirs) = Pair();
            using (theirs)
            {
                try
                {
                    await monitor().GiveFileAsync(theirs, Descriptor, deadline, cancellation);
                    await monitor().ExecuteAsync("chardev-change", ToSocket, deadline, cancellation);
                }
                catch
                {
                    await ours.DisposeAsync();
                    throw;
                }
            }
            return new ConsoleStream(ours, last, LetGoAsync);
        }
        catch
        {
            await LetGoAsync();
            throw;
        }
    }

    /// <summary>After an adoption: puts a ring in the place of a socket that an earlier daemon left. ERRORS: none; a QEMU that cannot stays as it is.</summary>
    public async Task RepairAsync(CancellationToken cancellation)
    {
        try
        {
            var all = await monitor().ExecuteAsync("query-chardev", null, deadline, cancellation);
            if (all.ValueKind == JsonValueKind.Array && all.EnumerateArray().Any(one => one.Text("label") == "console" && one.Text("filename") != "ringbuf"))
            {
                await monitor().ExecuteAsync("chardev-change", ToRing, deadline, cancellation);
            }
        }
        catch (Exception e) when (e is MgmtException or OperationCanceledException)
        {
            // Whoever opens it finds out.
        }
    }

    private async Task<byte[]> LastAsync(CancellationToken cancellation)
    {
        try
        {
            var text = await monitor().ExecuteAsync("ringbuf-read", """{"device":"console","size":65536,"format":"base64"}""", deadline, cancellation);
            return text.ValueKind == JsonValueKind.String && text.TryGetBytesFromBase64(out var bytes) ? bytes : [];
        }
        catch (MgmtException e) when (e.Code == ErrorCode.QubesException)
        {
            // No ring: an earlier daemon's socket.
            return [];
        }
    }

    private async Task LetGoAsync()
    {
        try
        {
            await monitor().ExecuteAsync("chardev-change", ToRing, deadline, CancellationToken.None);
        }
        catch (Exception e) when (e is MgmtException or ObjectDisposedException)
        {
            // QEMU is gone, or is asked again by whoever opens it next.
        }
        finally
        {
            Volatile.Write(ref _isOpen, 0);
        }
    }

    private static (NetworkStream Ours, SafeFileHandle Theirs) Pair()
    {
        var both = new int[2];
        if (Libc.socketpair(Libc.AF_UNIX, Libc.SOCK_STREAM | Libc.SOCK_CLOEXEC, 0, both) != 0)
        {
            throw new MgmtException(ErrorCode.MgmtUnavailableError, "No socket for the console: %s", System.Runtime.InteropServices.Marshal.GetLastPInvokeErrorMessage());
        }
        return (new NetworkStream(new Socket(new SafeSocketHandle(both[0], ownsHandle: true)), ownsSocket: true), new SafeFileHandle(both[1], ownsHandle: true));
    }
}
