using Mgmt.Policy;

namespace Mgmt.Api;

/// <summary>
/// Changes of policy files by callers: one at a time, checked against the whole set that would result, the old version kept, the new one
/// written so that a crash leaves either, and in force when the change is done.
/// </summary>
public sealed class PolicyEditor : IDisposable
{
    private const int NoSpace = 28, DiskFull = unchecked((int)0x80070070);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly PolicyFolder _folder;
    private readonly PolicyCheck _check;
    private readonly PolicyHistory _history;
    private readonly PolicyStore _policy;
    private readonly SemaphoreSlim _gate = new(1, 1);

    /// <summary>Makes one.</summary>
    /// <param name="directories">The policy directories as the store has them; the last one is edited.</param>
    /// <param name="options">How files become a set, as the store has it.</param>
    /// <param name="policy">The set in force.</param>
    /// <param name="historyDirectory">Where replaced and removed versions are kept; made when the first one is.</param>
    /// <param name="clock">The time of versions.</param>
    public PolicyEditor(IReadOnlyList<PolicyDirectory> directories, PolicyOptions options, PolicyStore policy, string historyDirectory, TimeProvider clock)
    {
        // As the loader has them, so that the paths of files compare.
        _folder = new([.. directories.Select(d => d with { Path = Path.TrimEndingDirectorySeparator(Path.GetFullPath(d.Path)) })]);
        // What a caller writes may not make the daemon read, and quote, files elsewhere on the host.
        _check = new(_folder, options with { ConfineIncludes = true });
        _history = new(historyDirectory, clock);
        _policy = policy;
    }

    internal PolicySet InForce => _policy.Current.Set;

    /// <summary>The set in force, and what is wrong with the files if it is an older one.</summary>
    internal PolicySnapshot Current => _policy.Current;

    /// <summary>The names of the files, ordinally.</summary>
    internal IReadOnlyList<string> List(bool includes) => Disk(() => _folder.List(includes).ToList());

    /// <summary>The bytes of a file. ERRORS: QubesException when there is none.</summary>
    internal byte[] Read(PolicyFileName file) => Disk(() => _folder.Read(file) ?? throw NotFound(file));

    /// <summary>What is kept of a file, the newest first.</summary>
    internal IReadOnlyList<PolicyVersion> History(PolicyFileName file) => Disk(() => _history.List(file));

    /// <summary>Writes a file. What comes back is a warning for the caller, or null.</summary>
    internal Task<string?> ReplaceAsync(CallContext call, PolicyFileName file, PolicyToken token, ReadOnlyMemory<byte> bytes) => ChangeAsync(call, file, token.Force, current =>
    {
        token.Check(file, current);
        return bytes;
    });

    /// <summary>Removes a file.</summary>
    internal Task<string?> RemoveAsync(CallContext call, PolicyFileName file, PolicyToken token) => ChangeAsync(call, file, token.Force, current =>
    {
        token.Check(file, current ?? throw NotFound(file));
        return null;
    });

    /// <summary>Brings a kept version back.</summary>
    internal Task<string?> RevertAsync(CallContext call, PolicyFileName file, string id, bool force) => ChangeAsync(call, file, force, _ => _history.Read(file, id));

    /// <inheritdoc/>
    public void Dispose() => _gate.Dispose();

    private async Task<string?> ChangeAsync(CallContext call, PolicyFileName file, bool force, Func<byte[]?, ReadOnlyMemory<byte>?> decide)
    {
        // A change that has begun is finished, so nothing here is cancelled.
        if (!await _gate.WaitAsync(Patience, CancellationToken.None))
        {
            throw new MgmtException(ErrorCode.MgmtBusyError, "Another change of the policy takes its time; try again later");
        }
        try
        {
            var warning = Disk(() => Change(call, file, force, decide));
            await _policy.ReloadAsync(CancellationToken.None);
            // Somebody on the host may have broken the files after they were checked.
            return warning ?? (_policy.Current is { Stale: true } stale ? $"not in force, the files are broken: {PolicyCheck.Describe(stale.Errors)}" : null);
        }
        finally
        {
            _gate.Release();
        }
    }

    private string? Change(CallContext call, PolicyFileName file, bool force, Func<byte[]?, ReadOnlyMemory<byte>?> decide)
    {
        var current = _folder.Read(file);
        var next = decide(current);
        var after = _check.Load(file, next, out var warning);
        if (after is not null && !force)
        {
            var replace = file.IsInclude ? "mgmt.policy.include.Replace" : "mgmt.policy.Replace";
            PolicyCheck.KeepAccess(InForce, after, call.Source, file.Name, new SnapshotDirectory(call.State, null), replace, "mgmt." + call.Row.Name);
        }
        if (current is not null && next is { } same && same.Span.SequenceEqual(current))
        {
            return warning;
        }
        if (current is not null)
        {
            _history.Keep(file, current, call.Source);
        }
        if (next is { } bytes)
        {
            _folder.Write(file, bytes.Span);
        }
        else
        {
            _folder.Remove(file);
        }
        return warning;
    }

    private MgmtException NotFound(PolicyFileName file) => _folder.HiddenBy(file) is { } elsewhere
        ? new(ErrorCode.QubesException, "No such policy file: %s; there is %s, which is edited on the host only", file.Path, elsewhere)
        : new(ErrorCode.QubesException, "No such policy file: %s", file.Path);

    private static T Disk<T>(Func<T> work)
    {
        try
        {
            return work();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw error.HResult is NoSpace or DiskFull
                ? new MgmtException(error, ErrorCode.MgmtNoSpaceError, "No space left for policy files or their history")
                : new MgmtException(error, ErrorCode.MgmtUnavailableError, "The policy files or their history cannot be used: %s", error.Message);
        }
    }
}
