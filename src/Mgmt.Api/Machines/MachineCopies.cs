using System.Globalization;
using System.IO.Pipelines;
using System.Text;

namespace Mgmt.Api;

/// <summary>Copies between callers and containers, by way of the staging directory. SOURCE: docs/machines.md, "Copying".</summary>
public sealed class MachineCopies(IHostMachines machines, MachineOwners owners, StagingArea staging, CopyLimits limits, TimeProvider clock)
{
    private const int MaxPathBytes = 4096;
    private const int MaxCopies = 4;
    private int _copies;

    /// <summary>
    /// Sends a file or directory of a container. Frames: <c>S</c> with <c>kind=file\nbytes=N\nmode=OCTAL\n</c> or <c>kind=directory\n</c>, <c>D</c> with the file or a tar stream, <c>X</c> with
    /// <c>left_out=N\n</c>: devices, pipes and sockets of a directory. ERRORS: QubesValueError (path), QubesException (machined's reason; not a file or directory; too big), MgmtNoSpaceError, MgmtTimeoutError, MgmtBusyError.
    /// </summary>
    public Task FromAsync(HostMachineName name, string path, IContentSink output, CancellationToken cancellation) => GuardAsync(async place =>
    {
        await owners.GetOtherAsync(name, cancellation);
        await WatchAsync(machines.CopyFromAsync(name, CheckedPath(path), place.Item, CancellationToken.None), place, cancellation);
        await SendAsync(place.Item, path, output, cancellation);
    });

    /// <summary>Takes a file or a tar stream of exactly so many bytes, and puts it into a container. ERRORS: as FromAsync; ProtocolError for another number of bytes, and then nothing was done.</summary>
    public Task ToAsync(HostMachineName name, CopyWish wish, PipeReader data, CancellationToken cancellation) => GuardAsync(async place =>
    {
        var path = CheckedPath(wish.Path);
        if (wish.Bytes > limits.MaxBytes)
        {
            throw TooBig();
        }
        await owners.GetOtherAsync(name, cancellation);
        RequireRoom(wish.Bytes);
        await TakeAsync(place.Item, wish, data, cancellation);
        await WatchAsync(machines.CopyToAsync(name, place.Item, path, CancellationToken.None), place, cancellation);
    });

    private async Task GuardAsync(Func<StagingPlace, Task> copy)
    {
        if (Interlocked.Increment(ref _copies) > MaxCopies)
        {
            Interlocked.Decrement(ref _copies);
            throw new MgmtException(ErrorCode.MgmtBusyError, "%s copies are under way; that is all there can be", $"{MaxCopies}");
        }
        try
        {
            using var place = staging.Open();
            await copy(place);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new MgmtException(error, ErrorCode.QubesException, "The copy cannot be staged: %s", error.Message);
        }
        finally
        {
            Interlocked.Decrement(ref _copies);
        }
    }

    /// <summary>Waits for machined within the bounds. It cannot be stopped: what is given up is emptied until it has ended.</summary>
    private async Task WatchAsync(Task copying, StagingPlace place, CancellationToken cancellation)
    {
        var began = clock.GetTimestamp();
        try
        {
            while (await Task.WhenAny(copying, Task.Delay(limits.LookEvery, clock, cancellation)) != copying)
            {
                cancellation.ThrowIfCancellationRequested();
                RequireRoom(0);
                if (place.UsedBytes() > limits.MaxBytes)
                {
                    throw TooBig();
                }
                if (clock.GetElapsedTime(began) > limits.Deadline)
                {
                    throw new MgmtException(ErrorCode.MgmtTimeoutError, "systemd-machined has not ended the copy in time");
                }
            }
        }
        catch
        {
            place.LeaveTo(copying, limits.LookEvery, clock);
            throw;
        }
        await copying;
        if (place.UsedBytes() > limits.MaxBytes)
        {
            throw TooBig();
        }
    }

    private static async Task SendAsync(string item, string path, IContentSink output, CancellationToken cancellation)
    {
        var info = new FileInfo(item);
        await using var frames = new FrameStream(output);
        if (info.LinkTarget is { } target)
        {
            throw new MgmtException(ErrorCode.QubesException, "%s is a symbolic link to %s: name what it leads to", path, target);
        }
        if (Directory.Exists(item))
        {
            await FrameStream.SendAsync(output, ContentFrame.Start, "kind=directory\n", cancellation);
            var left = await TarTree.WriteAsync(item, frames, cancellation);
            await FrameStream.SendAsync(output, ContentFrame.End, string.Create(CultureInfo.InvariantCulture, $"left_out={left}\n"), cancellation);
            return;
        }
        if (!PlainFile.IsOne(item))
        {
            throw new MgmtException(ErrorCode.QubesException, "%s is neither a file nor a directory", path);
        }
        await using var data = info.OpenRead();
        var mode = Convert.ToString((int)info.UnixFileMode & 0x1FF, 8);
        await FrameStream.SendAsync(output, ContentFrame.Start, string.Create(CultureInfo.InvariantCulture, $"kind=file\nbytes={data.Length}\nmode={mode}\n"), cancellation);
        await data.CopyToAsync(frames, cancellation);
        await FrameStream.SendAsync(output, ContentFrame.End, "left_out=0\n", cancellation);
    }

    private static async Task TakeAsync(string item, CopyWish wish, PipeReader data, CancellationToken cancellation)
    {
        await using var exact = new ExactStream(data.AsStream(leaveOpen: true), wish.Bytes);
        if (wish.IsDirectory)
        {
            Directory.CreateDirectory(item);
            await TarTree.ReadAsync(exact, item, cancellation);
        }
        else
        {
            await using var file = new FileStream(item, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = wish.Mode });
            await exact.CopyToAsync(file, cancellation);
        }
        await exact.RequireEndAsync(cancellation);
    }

    private void RequireRoom(long bytes)
    {
        if (staging.FreeBytes - bytes < limits.MinFreeBytes)
        {
            throw new MgmtException(ErrorCode.MgmtNoSpaceError, "No space left to stage the copy");
        }
    }

    private MgmtException TooBig() => new(ErrorCode.QubesException, "The copy takes more than %s bytes, which is all that may be copied at once", limits.MaxBytes.ToString(CultureInfo.InvariantCulture));

    private static string CheckedPath(string path) => path.StartsWith('/') && Encoding.UTF8.GetByteCount(path) <= MaxPathBytes && !path.Any(char.IsControl)
        ? path
        : throw new MgmtException(ErrorCode.QubesValueError, "The path in the container has to be absolute, without control characters, and at most %s bytes", $"{MaxPathBytes}");
}
