using System.Diagnostics.CodeAnalysis;
using Mgmt.Core;

namespace Mgmt.Storage;

/// <summary>Keeping images in order. After each change the list is asked for anew, so that a read sees it.</summary>
internal sealed partial class MachinedPool
{
    // What machined itself takes as the name of an image is nearly any file name; this keeps to names that are volume ids and not hidden.
    private const int LongestName = 64;

    public Task CloneImageAsync(Vid image, Vid newName, bool readOnly, CancellationToken cancellation) =>
        ChangeAsync(image, newName, () => _machined.CloneAsync(ImageName(image), ImageName(newName), readOnly, cancellation), cancellation);

    public Task RemoveImageAsync(Vid image, bool force, CancellationToken cancellation) => ChangeAsync(image, null, async () =>
    {
        RequireStopped(image);
        // machined removes them too; a mark that somebody made deserves a question.
        if (!force && (await _machined.GetAsync(ImageName(image), cancellation)).ReadOnly)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Image %s is read-only; removing it needs force", image.Value);
        }
        await _machined.RemoveAsync(ImageName(image), cancellation);
    }, cancellation);

    public Task RenameImageAsync(Vid image, Vid newName, CancellationToken cancellation) => ChangeAsync(image, newName, () =>
    {
        RequireStopped(image);
        return _machined.RenameAsync(ImageName(image), ImageName(newName), cancellation);
    }, cancellation);

    public Task SetReadOnlyAsync(Vid image, bool readOnly, CancellationToken cancellation) =>
        ChangeAsync(image, null, () => _machined.MarkReadOnlyAsync(ImageName(image), readOnly, cancellation), cancellation);

    public Task SetLimitAsync(Vid image, long? sizeBytes, CancellationToken cancellation) =>
        ChangeAsync(image, null, () => _machined.SetLimitAsync(ImageName(image), Positive(sizeBytes), cancellation), cancellation);

    public async Task SetPoolLimitAsync(long? sizeBytes, CancellationToken cancellation)
    {
        await _machined.SetPoolLimitAsync(Positive(sizeBytes), cancellation);
        await LookAsync(cancellation);
    }

    private async Task ChangeAsync(Vid image, Vid? newName, Func<Task> change, CancellationToken cancellation)
    {
        _ = ImageName(image);
        if (newName is { } taken && _facts.ById.ContainsKey(taken))
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "An image %s exists already", taken.Value);
        }
        try
        {
            await change();
        }
        finally
        {
            await LookQuietlyAsync();
        }
    }

    // The change is what the caller asked about; a list that does not come is made up for by the next one.
    private async Task LookQuietlyAsync()
    {
        try
        {
            await LookAsync(CancellationToken.None);
        }
        catch (MgmtException)
        {
            _refresher.Want();
        }
    }

    private void RequireStopped(Vid image)
    {
        if (_running.ContainsKey(image))
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Image %s is in use", image.Value);
        }
    }

    private static long? Positive(long? sizeBytes) => sizeBytes is null or > 0
        ? sizeBytes
        : throw new MgmtException(ErrorCode.QubesValueError, "A limit is a number of bytes above 0");

    /// <summary>The name of an image, for machined. ERRORS: StoragePoolException.</summary>
    private static string ImageName(Vid vid) => IsVolume(vid.Value)
        ? vid.Value
        : throw new MgmtException(ErrorCode.StoragePoolException, "Not a name for an image: '%s'", vid.Value);

    private static bool IsVolume([NotNullWhen(true)] string? name)
    {
        if (name is null or { Length: 0 or > LongestName } || name[0] is '.' or '-' || name.Contains('/'))
        {
            return false;
        }
        try
        {
            return Vid.Parse(name).Value == name;
        }
        catch (MgmtException)
        {
            return false;
        }
    }
}
