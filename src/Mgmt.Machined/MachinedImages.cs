using Mgmt.Core;
using Mgmt.Machined.Bus;

namespace Mgmt.Machined;

/// <summary>The images of systemd-machined, asked for on the registry's own bus. SOURCE: org.freedesktop.machine1(5).</summary>
internal sealed class MachinedImages(MachinedOptions options, Questions questions, Action start, RegistryHealth health, TimeProvider time) : IMachineImages
{
    /// <inheritdoc/>
    public async Task<MachineImageList> ListAsync(CancellationToken cancellation)
    {
        var deadline = new Deadline(options.ImageDeadline, time);
        var pool = await AskAsync(ImageCalls.PoolProperties, ImageCalls.ReadPool, null, deadline, cancellation);
        return pool with { Images = await AskAsync(ImageCalls.List, ImageCalls.ReadList, null, deadline, cancellation) };
    }

    /// <inheritdoc/>
    public async Task<MachineImage> GetAsync(string name, CancellationToken cancellation)
    {
        var deadline = new Deadline(options.ImageDeadline, time);
        var path = await AskAsync(ImageCalls.Get(name), reader => reader.ObjectPath(), name, deadline, cancellation);
        return await AskAsync(ImageCalls.Properties(path), ImageCalls.ReadImage, name, deadline, cancellation);
    }

    /// <inheritdoc/>
    public Task CloneAsync(string name, string newName, bool readOnly, CancellationToken cancellation) =>
        ChangeAsync(ImageCalls.Clone(name, newName, readOnly), name, options.ImageCopyDeadline, cancellation);

    /// <inheritdoc/>
    public Task RemoveAsync(string name, CancellationToken cancellation) =>
        ChangeAsync(ImageCalls.Remove(name), name, options.ImageCopyDeadline, cancellation);

    /// <inheritdoc/>
    public Task RenameAsync(string name, string newName, CancellationToken cancellation) =>
        ChangeAsync(ImageCalls.Rename(name, newName), name, options.ImageDeadline, cancellation);

    /// <inheritdoc/>
    public Task MarkReadOnlyAsync(string name, bool readOnly, CancellationToken cancellation) =>
        ChangeAsync(ImageCalls.MarkReadOnly(name, readOnly), name, options.ImageDeadline, cancellation);

    /// <inheritdoc/>
    public Task SetLimitAsync(string name, long? sizeBytes, CancellationToken cancellation) =>
        ChangeAsync(ImageCalls.SetLimit(name, sizeBytes), name, options.ImageDeadline, cancellation);

    /// <inheritdoc/>
    public Task SetPoolLimitAsync(long? sizeBytes, CancellationToken cancellation) =>
        ChangeAsync(ImageCalls.SetPoolLimit(sizeBytes), null, options.ImageDeadline, cancellation);

    private Task<bool> ChangeAsync(BusCall call, string? name, TimeSpan within, CancellationToken cancellation) =>
        AskAsync(call with { AnswerWithin = within }, _ => true, name, new Deadline(within, time), cancellation);

    private async Task<T> AskAsync<T>(BusCall call, Func<BusReader, T> read, string? name, Deadline deadline, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        if (!options.Enabled)
        {
            throw new MgmtException(ErrorCode.MgmtUnavailableError, "systemd-machined is switched off in the configuration");
        }
        start();
        var reply = await questions.AskAsync(call, read, deadline.Left, cancellation);
        if (reply.Failure is not { } failure)
        {
            return reply.Value!;
        }
        if (failure.Kind != BusFailureKind.Unanswered) // a copy may take its time: that makes nobody slow
        {
            health.Note(failure);
        }
        throw Translate(failure, call.Member, name);
    }

    private static MgmtException Translate(BusFailure failure, string member, string? name) => failure switch
    {
        { Kind: BusFailureKind.NotSent } => new(ErrorCode.MgmtUnavailableError, "systemd-machined is not reachable: %s", failure.Message),
        { Kind: BusFailureKind.Unanswered or BusFailureKind.Lost } =>
            new(ErrorCode.MgmtTimeoutError, "systemd-machined has not answered %s (%s): what became of it is unknown until looked at again", member, failure.Message),
        { Kind: BusFailureKind.BadReply } => new(ErrorCode.StoragePoolException, "systemd-machined's answer to %s is not understood: %s", member, failure.Message),
        { Name: ImageCalls.NoSuchImage } or { Name: BusNames.UnknownObject } => new(ErrorCode.QubesVolumeNotFoundError, "No such volume: '%s'", name ?? ""),
        { Name: BusNames.NotSupported } => new(ErrorCode.MgmtUnsupportedError, "systemd-machined cannot do %s here: %s", member, failure.Message),
        { Name: BusNames.NoSpace or BusNames.QuotaExceeded } => new(ErrorCode.MgmtNoSpaceError, "No space left for the images of systemd-machined"),
        _ when failure.Name != BusNames.AccessDenied && MachineCalls.IsAbsent(failure) =>
            new(ErrorCode.MgmtUnavailableError, "systemd-machined is not available: %s", failure.Message),
        _ => new(ErrorCode.StoragePoolException, "systemd-machined refused %s: %s", member, failure.Message),
    };

    /// <summary>What is left of a time for several calls.</summary>
    private readonly struct Deadline(TimeSpan within, TimeProvider time)
    {
        private readonly long _start = time.GetTimestamp();

        public TimeSpan Left => within - time.GetElapsedTime(_start);
    }
}
