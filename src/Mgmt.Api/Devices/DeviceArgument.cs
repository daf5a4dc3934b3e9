namespace Mgmt.Api;

/// <summary>
/// The argument of a device call: <c>BACKEND+PORT</c> or <c>BACKEND+PORT+DEVICE_ID</c>, where <c>+</c> of a device id stands for <c>:</c> and <c>_</c> for <c>*</c>.
/// Wildcards for backend and port are not taken. DeviceId is null for any.
/// </summary>
internal sealed record DeviceArgument(DeviceAddress Device, string? DeviceId)
{
    /// <summary>ERRORS: ProtocolError.</summary>
    internal static DeviceArgument Parse(DeviceClass deviceClass, string argument)
    {
        var parts = argument.Split('+', 3);
        if (parts.Length < 2 || VmName.TryParse(parts[0]) is not { } backend)
        {
            throw new MgmtException(ErrorCode.ProtocolError, "expected an argument of the form BACKEND+PORT, both of them names and no wildcards");
        }
        var id = parts.Length == 3 ? parts[2].Replace('+', ':').Replace('_', '*') : null;
        return new(DeviceAddress.Of(deviceClass, backend, parts[1]), id is null or "" or "*" ? null : id);
    }

    /// <summary>The argument as the policy is asked: without a device id. An empty one stays. ERRORS: ProtocolError.</summary>
    internal static string Asked(DeviceClass deviceClass, string argument) => argument.Length == 0 ? argument : Parse(deviceClass, argument).Device.ToString();

    /// <summary>Whether a device is the one that an id means; <c>*</c> in it is any character.</summary>
    internal static bool Means(string? id, DeviceInfo device)
    {
        if (id is null)
        {
            return true;
        }
        var actual = device.DeviceId;
        return id.Length == actual.Length && id.Zip(actual).All(pair => pair.First == '*' || pair.First == pair.Second);
    }
}
