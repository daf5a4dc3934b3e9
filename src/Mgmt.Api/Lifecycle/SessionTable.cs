using System.Collections.Concurrent;

namespace Mgmt.Api;

/// <summary>The VMs with a process, and the starts under way.</summary>
public sealed class SessionTable
{
    private readonly ConcurrentDictionary<VmName, VmSession> _sessions = new();
    private readonly ConcurrentDictionary<VmName, StartOperation> _starts = new();

    /// <summary>A VM has a process from now on: started or adopted. Nothing that takes it may wait.</summary>
    public event Action<VmSession>? Began;

    /// <summary>All with a process.</summary>
    public IEnumerable<VmSession> All => _sessions.Values;

    /// <summary>The session of a VM, or null.</summary>
    public VmSession? Find(VmName name) => _sessions.GetValueOrDefault(name);

    /// <summary>The session of a VM that has to have one. ERRORS: MgmtUnavailableError when its process does not answer.</summary>
    public VmSession Get(VmName name) => Find(name)
        ?? throw new MgmtException(ErrorCode.MgmtUnavailableError, "The process of %s does not answer; Kill ends it", name.Value);

    internal void Add(VmSession session)
    {
        _sessions[session.Name] = session;
        Began?.Invoke(session);
    }

    internal void Remove(VmSession session) => _sessions.TryRemove(new(session.Name, session));

    internal StartOperation? FindStart(VmName name) => _starts.GetValueOrDefault(name);

    internal StartOperation BeginStart(VmName name) => _starts[name] = new StartOperation();

    internal void EndStart(VmName name, StartOperation start)
    {
        _starts.TryRemove(new(name, start));
        start.Complete();
    }
}

/// <summary>A start under way; Kill cancels it and waits for its end.</summary>
internal sealed class StartOperation
{
    private readonly CancellationTokenSource _cancel = new();
    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal CancellationToken Token => _cancel.Token;

    internal Task Done => _done.Task;

    internal void Cancel() => _cancel.Cancel();

    internal void Complete() => _done.TrySetResult();
}
