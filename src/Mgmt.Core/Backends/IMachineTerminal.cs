namespace Mgmt.Core;

/// <summary>Our end of a terminal in a container. Disposing hangs up.</summary>
public interface IMachineTerminal : IAsyncDisposable
{
    /// <summary>Its path in the container.</summary>
    string Path { get; }

    /// <summary>Whether somebody in the container has had it open: a program that could not be started never has.</summary>
    bool WasOpened { get; }

    /// <summary>The next bytes that were written to it; empty when nobody has it open any more.</summary>
    ValueTask<ReadOnlyMemory<byte>> ReadAsync(CancellationToken cancellation);

    /// <summary>Types bytes; waits while nobody reads them. ERRORS: MgmtUnavailableError when nobody has it open any more.</summary>
    ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellation);

    /// <summary>Its size in characters.</summary>
    void Resize(int rows, int columns);
}
