namespace Mgmt.State;

/// <summary>A change on its way: queued, then either given up by its caller or picked up by the writer, never both.</summary>
internal abstract class Change
{
    private int _taken;

    /// <summary>True for the first who asks: the writer that picks it up or the caller that gives up.</summary>
    internal virtual bool TryTake() => Interlocked.Exchange(ref _taken, 1) == 0;

    /// <summary>Runs the delegate; what it throws goes to the caller when the group is over.</summary>
    internal abstract void Run(IStateTransaction transaction);

    /// <summary>The caller goes on with the delegate's result.</summary>
    internal abstract void Complete();

    /// <summary>The caller gets the exception.</summary>
    internal abstract void Fail(Exception error);
}
