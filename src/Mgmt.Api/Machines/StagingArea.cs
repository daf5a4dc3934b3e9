namespace Mgmt.Api;

/// <summary>
/// Where data stands between a caller and a container: machined copies from and to paths of the host, and no caller names one. A directory of the daemon's own below its state
/// directory, emptied when the daemon starts.
/// </summary>
public sealed class StagingArea
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private readonly string _directory;

    /// <summary>Makes the directory, and removes what an earlier daemon left in it.</summary>
    public StagingArea(string directory)
    {
        _directory = directory;
        Remove(directory);
    }

    /// <summary>What is free on its file system in bytes.</summary>
    public long FreeBytes => new DriveInfo(_directory).AvailableFreeSpace;

    /// <summary>A place for one thing.</summary>
    internal StagingPlace Open()
    {
        Directory.CreateDirectory(_directory, OwnerOnly);
        var place = Path.Combine(_directory, Guid.NewGuid().ToString("N"));
        Directory.CreateDirectory(place, OwnerOnly);
        return new StagingPlace(place);
    }

    internal static void Remove(string directory)
    {
        try
        {
            if (Directory.Exists(directory))
            {
                Directory.Delete(directory, recursive: true);
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // Somebody still writes into it: the next start of the daemon removes it.
        }
    }
}

/// <summary>A directory with room for one file or directory, removed when it is disposed.</summary>
internal sealed class StagingPlace(string directory) : IDisposable
{
    private Task? _writer;

    /// <summary>Where the file or directory goes.</summary>
    public string Item { get; } = Path.Combine(directory, "item");

    /// <summary>What it takes on disk now, in bytes.</summary>
    public long UsedBytes()
    {
        var within = new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.None };
        try
        {
            return Directory.EnumerateFileSystemEntries(directory, "*", within).Sum(PlainFile.UsedBytes);
        }
        catch (IOException)
        {
            return 0; // it changes while it is looked at
        }
    }

    /// <summary>Somebody writes into it until the task ends, whatever becomes of us: it is emptied again and again until then.</summary>
    public void LeaveTo(Task writer, TimeSpan every, TimeProvider clock) => _writer = EmptyAsync(writer, every, clock);

    public void Dispose()
    {
        if (_writer is null)
        {
            StagingArea.Remove(directory);
        }
    }

    private async Task EmptyAsync(Task writer, TimeSpan every, TimeProvider clock)
    {
        while (await Task.WhenAny(writer, Task.Delay(every, clock, CancellationToken.None)) != writer)
        {
            Empty();
        }
        _ = writer.Exception;
        StagingArea.Remove(directory);
    }

    /// <summary>A file that is being written gives back what it took only when it is cut off; its name alone is not enough.</summary>
    private void Empty()
    {
        var within = new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.None };
        try
        {
            foreach (var file in Directory.EnumerateFiles(directory, "*", within).Where(PlainFile.IsOne))
            {
                using var handle = File.OpenHandle(file, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
                RandomAccess.SetLength(handle, 0);
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // It changes while it is looked at; there is a next time.
        }
    }
}
