namespace Mgmt.Api;

/// <summary>A stream that had begun cannot go on; the inner exception says why. Never on the wire.</summary>
internal sealed class StreamBrokenException(Exception reason) : Exception(reason.Message, reason);
