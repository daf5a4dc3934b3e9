namespace Mgmt.Qrexec;

/// <summary>What the bytes of a guest's port mean, in order. Called while they are read; nothing here may wait.</summary>
public interface IPortEvents
{
    /// <summary>A mark: whatever was before is over.</summary>
    void Marked();

    /// <summary>Its nonce: the guest has opened the port and waits for the same back.</summary>
    void Opened(PortNonce nonce);

    /// <summary>The call.</summary>
    void Called(TriggerService request);

    /// <summary>Some of its input.</summary>
    void Input(ReadOnlySpan<byte> bytes);

    /// <summary>The end of its input.</summary>
    void InputEnded();

    /// <summary>The guest broke the protocol: the call is over, and nothing is taken before the next mark.</summary>
    void Broken(string reason);
}
