using System.Text.Json.Serialization;

namespace Mgmt.Core;

/// <summary>No arguments, or an answer that only says that it is done. SHAPE: <c>{}</c>.</summary>
public sealed record GuestNothing;

/// <summary>Of guest-sync and guest-sync-delimited: what is to be echoed.</summary>
public sealed record GuestSyncArguments(long Id);

/// <summary>One command of an agent, whether it is switched on, and whether it answers when it succeeds.</summary>
public sealed record GuestAgentCommandInfo(string Name, bool Enabled, bool? SuccessResponse = null);

/// <summary>Of guest-info.</summary>
public sealed record GuestAgentInfo(string Version, [property: JsonPropertyName("supported_commands")] IReadOnlyList<GuestAgentCommandInfo> SupportedCommands);

/// <summary>Of guest-set-time: nanoseconds since 1970; without, the guest reads its hardware clock.</summary>
public sealed record GuestSetTimeArguments(long? Time = null);

/// <summary>How a guest is shut down.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<GuestShutdownMode>))]
public enum GuestShutdownMode
{
    /// <summary>It powers off.</summary>
    [JsonStringEnumMemberName("powerdown")]
    Powerdown,
    /// <summary>It stops and stays: QEMU runs on until it is killed.</summary>
    [JsonStringEnumMemberName("halt")]
    Halt,
    /// <summary>It starts anew in the same QEMU.</summary>
    [JsonStringEnumMemberName("reboot")]
    Reboot,
}

/// <summary>Of guest-shutdown; powerdown when not said.</summary>
public sealed record GuestShutdownArguments(GuestShutdownMode? Mode = null);

/// <summary>Of guest-get-osinfo: uname and os-release; what the guest does not know is not there.</summary>
public sealed record GuestOsInfo(
    string? KernelRelease = null, string? KernelVersion = null, string? Machine = null, string? Id = null, string? Name = null,
    string? PrettyName = null, string? Version = null, string? VersionId = null, string? Variant = null, string? VariantId = null);

/// <summary>Of guest-get-host-name.</summary>
public sealed record GuestHostName(string HostName);

/// <summary>Of guest-get-timezone: seconds east of UTC.</summary>
public sealed record GuestTimezone(long Offset, string? Zone = null);

/// <summary>Somebody who is logged in, since when in seconds since 1970.</summary>
public sealed record GuestUser(string User, double LoginTime, string? Domain = null);

/// <summary>A device's identity, by its type.</summary>
public sealed record GuestDeviceId(string Type, long? VendorId = null, long? DeviceId = null);

/// <summary>Of guest-get-devices: a driver of a Windows guest.</summary>
public sealed record GuestDeviceInfo(string DriverName, long? DriverDate = null, string? DriverVersion = null, GuestDeviceId? Id = null);
