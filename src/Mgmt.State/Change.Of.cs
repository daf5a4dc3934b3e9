namespace Mgmt.State;

/// <summary>A change with a result of type <typeparamref name="T"/>.</summary>
internal sealed class Change<T>(Func<IStateTransaction, T> run) : Change
{
    // The writer must never run a caller's continuation.
    private readonly TaskCompletionSource<T> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private T _result = default!;

    internal Task<T> Task => _done.Task;

    internal override void Run(IStateTransaction transaction) => _result = run(transaction);

    internal override void Complete() => _done.SetResult(_result);

    internal override void Fail(Exception error) => _done.SetException(error);

    internal void Cancel(CancellationToken cancellationToken)
    {
        if (TryTake())
        {
            _done.SetCanceled(cancellationToken);
        }
    }
}
