namespace Mgmt.Api;

/// <summary>What takes back the steps of a change, last step first. A step that cannot be undone is reported and the rest goes on.</summary>
public sealed class UndoStack
{
    private readonly Stack<Func<Task>> _steps = new();

    /// <summary>Adds the way back of a step that was done.</summary>
    public void Push(Func<Task> undo) => _steps.Push(undo);

    /// <summary>The change is whole: there is nothing to undo any more.</summary>
    public void Complete() => _steps.Clear();

    /// <summary>Takes everything back.</summary>
    public async Task RunAsync(Action<Exception> report)
    {
        while (_steps.TryPop(out var step))
        {
            try
            {
                await step();
            }
            catch (Exception error)
            {
                report(error);
            }
        }
    }
}
