using Mgmt.Core;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Storage;

/// <summary>
/// What a file pool needs of a format of disk images. An image stands alone; a run is what a VM writes. Every file that is filled exists, is
/// empty and is nobody else's; none is synced here. ERRORS of all: MgmtNoSpaceError, StoragePoolException, MgmtTimeoutError, MgmtUnavailableError.
/// </summary>
internal interface IImageFormat
{
    /// <summary>The format's name, as QEMU has it.</summary>
    string Name { get; }

    /// <summary>What the names of its files end in, with the dot.</summary>
    string Suffix { get; }

    /// <summary>Whether a run holds only what differs from the image below it, which must then be there, unchanged, as long as the run.</summary>
    bool RunStandsOnBase { get; }

    /// <summary>Whether a raw file is an image as it is.</summary>
    bool KeepsRaw { get; }

    /// <summary>An empty image.</summary>
    Task CreateAsync(string file, long sizeBytes, CancellationToken cancellation);

    /// <summary>A run that begins as the image <paramref name="below"/> and may be larger.</summary>
    Task BeginRunAsync(string file, string below, long sizeBytes, CancellationToken cancellation);

    /// <summary>What a finished run holds, as an image.</summary>
    Task SaveRunAsync(string run, string below, string file, long sizeBytes, CancellationToken cancellation);

    /// <summary>Writes what a finished run holds into the image below it; only where a run stands on its base. Cut off, it can be done again.</summary>
    Task CommitAsync(string run, string below, long sizeBytes, CancellationToken cancellation);

    /// <summary>A raw file as an image: in <paramref name="file"/>, or <paramref name="raw"/> itself. Says which.</summary>
    Task<string> AdoptRawAsync(string raw, string file, long sizeBytes, CancellationToken cancellation);

    /// <summary>What another volume holds, as an image; shares blocks where the file system can.</summary>
    Task CopyAsync(OpenVolume source, string file, IProgress<CopyProgress>? progress, CancellationToken cancellation);

    /// <summary>Gives an image that nobody else uses another size.</summary>
    Task ResizeAsync(string file, long sizeBytes, bool shrink, CancellationToken cancellation);

    /// <summary>The size in bytes of the disk in a file. <paramref name="volume"/> is for errors. ERRORS: StoragePoolException: not an image this pool would make.</summary>
    long SizeOf(SafeFileHandle file, Vid volume, bool isRun);
}
