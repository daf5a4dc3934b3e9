namespace Mgmt.Core;

/// <summary>
/// Where a device is: its class, the VM that has it, and the port there, which follows from topology. SHAPE as text: <c>BACKEND+PORT</c>.
/// A port is letters, digits, <c>_ . -</c>, at most 64 of them, and not <c>_</c> alone, which is a wildcard elsewhere.
/// </summary>
public readonly record struct DeviceAddress : IComparable<DeviceAddress>
{
    private const int MaxPort = 64;

    private readonly DeviceClass? _class;
    private readonly string? _port;

    private DeviceAddress(DeviceClass deviceClass, VmName backend, string port)
    {
        _class = deviceClass;
        Backend = backend;
        _port = port;
    }

    /// <summary>Its class.</summary>
    public DeviceClass Class => _class ?? DeviceClass.Block;

    /// <summary>The VM that has it; dom0 for the host's own.</summary>
    public VmName Backend { get; }

    /// <summary>The port at that VM.</summary>
    public string Port => _port ?? "";

    /// <summary>Puts one together. ERRORS: ProtocolError for what is no port.</summary>
    public static DeviceAddress Of(DeviceClass deviceClass, VmName backend, string port) => IsPort(port)
        ? new(deviceClass, backend, port)
        : throw new MgmtException(ErrorCode.ProtocolError, "not a port of a device: 1 to 64 letters, digits, _ . -, and no wildcard");

    /// <summary>Whether a text can be a port.</summary>
    public static bool IsPort(string text) => text.Length is > 0 and <= MaxPort && text is not ("_" or "." or "..") && Charset.IsAll(text, Charset.Word);

    /// <summary>By class, backend and port.</summary>
    public int CompareTo(DeviceAddress other)
    {
        var order = Class.CompareTo(other.Class);
        order = order != 0 ? order : Backend.CompareTo(other.Backend);
        return order != 0 ? order : string.CompareOrdinal(Port, other.Port);
    }

    /// <summary><c>BACKEND+PORT</c>.</summary>
    public override string ToString() => $"{Backend}+{Port}";
}
