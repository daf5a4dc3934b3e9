namespace Mgmt.Qrexec;

/// <summary>What the peer says on a data channel, in order. Nothing here may wait.</summary>
public interface IDataEvents
{
    /// <summary>Its HELLO came; <paramref name="version"/> is what both speak, and says how long a body may be.</summary>
    void Greeted(int version);

    /// <summary>Bytes of one of its streams.</summary>
    void Received(MessageType stream, ReadOnlySpan<byte> bytes);

    /// <summary>The end of one of its streams.</summary>
    void Ended(MessageType stream);

    /// <summary>How the service over there ended. Nothing follows.</summary>
    void Exited(int code);
}
