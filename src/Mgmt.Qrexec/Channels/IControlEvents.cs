namespace Mgmt.Qrexec;

/// <summary>What an agent says on its control channel, in order. Nothing here may wait.</summary>
public interface IControlEvents
{
    /// <summary>Its HELLO came; <paramref name="version"/> is what both speak.</summary>
    void Greeted(int version);

    /// <summary>A guest's call. One that is not well-formed is to be refused.</summary>
    void Called(TriggerService request);

    /// <summary>A data channel is free again.</summary>
    void Terminated(uint domain, uint port);
}
