namespace Mgmt.Core;

/// <summary>What an assignment does when its VM starts.</summary>
public enum DeviceMode
{
    /// <summary>Nothing by itself; somebody is expected to attach it.</summary>
    AskToAttach,
    /// <summary>Attached at start, and when it appears, if it is there.</summary>
    AutoAttach,
    /// <summary>The VM does not start without it.</summary>
    Required,
}

/// <summary>The names of the modes on the wire.</summary>
public static class DeviceModes
{
    /// <summary><c>ask-to-attach</c>, <c>auto-attach</c> or <c>required</c>.</summary>
    public static string Wire(this DeviceMode mode) => mode switch
    {
        DeviceMode.Required => "required",
        DeviceMode.AutoAttach => "auto-attach",
        _ => "ask-to-attach",
    };

    /// <summary>The mode of that name. ERRORS: QubesUnrecognizedDeviceAssignmentMode.</summary>
    public static DeviceMode Parse(string text) => text switch
    {
        "required" => DeviceMode.Required,
        "auto-attach" => DeviceMode.AutoAttach,
        "ask-to-attach" => DeviceMode.AskToAttach,
        _ => throw new MgmtException(ErrorCode.QubesUnrecognizedDeviceAssignmentMode, "Unknown mode of an assignment: it is one of required, auto-attach, ask-to-attach"),
    };
}
