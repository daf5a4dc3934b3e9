namespace Mgmt.Qrexec;

/// <summary>The control channel of one agent, where it may outlive the daemon, and beside it what the next daemon has to know of it. An agent connects once in its life: without its channel it ends.</summary>
public interface IKeptControl
{
    /// <summary>What an earlier daemon left, once; null when there is nothing.</summary>
    (Stream Control, ReadOnlyMemory<byte> State)? Take();

    /// <summary>Keeps a new channel in place of the earlier one: what it is to be used by. Disposing that keeps the copy.</summary>
    Stream Keep(Stream control);

    /// <summary>Writes down what is to be known, in place of what was. Never throws.</summary>
    void Write(ReadOnlySpan<byte> state);

    /// <summary>The channel is over.</summary>
    void Forget();
}
