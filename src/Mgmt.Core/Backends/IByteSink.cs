namespace Mgmt.Core;

/// <summary>Where the bytes of a call go that answers as it goes on.</summary>
public interface IByteSink
{
    /// <summary>Sends bytes; the first time, even of none, also the beginning of an OK reply. ERRORS: OperationCanceledException when the reader is gone or does not read.</summary>
    ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellation);
}
