using System.Text;

namespace Mgmt.Api;

/// <summary>
/// Devices as they are written. SOURCE: docs/devices.md, "Formats". Values between quotes have <c>\'</c> for a quote; all is printable ASCII.
/// </summary>
internal static class DeviceText
{
    // Of the daemon's own use.
    private const string Hidden = "number";

    /// <summary>admin.*: <c>PORT:DEVICE_ID key='value' …</c>.</summary>
    internal static string Available(DeviceInfo device, IEnumerable<VmName> users)
    {
        var text = new StringBuilder($"{device.Address.Port}:{device.DeviceId}");
        Add(text, "device_id", device.DeviceId);
        Add(text, "port_id", device.Address.Port);
        Add(text, "devclass", device.Address.Class.Name);
        Add(text, "backend_domain", device.Address.Backend.Value);
        foreach (var (name, value) in device.Names)
        {
            Add(text, name, value);
        }
        if (device.Serial.Length > 0)
        {
            Add(text, "serial", device.Serial);
        }
        foreach (var user in users.Take(1))
        {
            Add(text, "attachment", user.Value);
        }
        Add(text, "interfaces", string.Concat(device.Interfaces));
        if (device.Parent is { } parent)
        {
            Add(text, "parent_port_id", parent.Port);
            Add(text, "parent_devclass", parent.Class.Name);
        }
        foreach (var (name, value) in device.Facts.Where(fact => fact.Key != Hidden))
        {
            Add(text, "_" + name, value);
        }
        Add(text, "_description", device.Description);
        return text.ToString();
    }

    /// <summary>mgmt.*: <c>PORT key=value … description=TEXT</c>, the description last and alone in having spaces.</summary>
    internal static string AvailableDraft(DeviceInfo device, IEnumerable<VmName> users)
    {
        var text = new StringBuilder($"{device.Address.Port} device_id={device.DeviceId}");
        foreach (var user in users)
        {
            text.Append(" attachment=").Append(user.Value);
        }
        foreach (var (name, value) in device.Facts.Where(fact => fact.Key != Hidden))
        {
            text.Append(' ').Append(name).Append('=').Append(value);
        }
        if (device.Parent is { } parent)
        {
            text.Append(" parent=").Append(parent.Class.Name).Append('+').Append(parent.Port);
        }
        return text.Append(" description=").Append(device.Description).ToString();
    }

    /// <summary><c>BACKEND+PORT:DEVICE_ID device_id= port_id= devclass= backend_domain= mode= frontend_domain= _option=</c>.</summary>
    internal static string Assigned(DeviceAddress device, string? deviceId, string mode, VmName frontend, DeviceOptions options)
    {
        var text = new StringBuilder($"{device}:{deviceId ?? "*"}");
        Add(text, "device_id", deviceId ?? "*");
        Add(text, "port_id", device.Port);
        Add(text, "devclass", device.Class.Name);
        Add(text, "backend_domain", device.Backend.Value);
        Add(text, "mode", mode);
        Add(text, "frontend_domain", frontend.Value);
        foreach (var (name, value) in options.Pairs)
        {
            Add(text, "_" + name, value);
        }
        return text.ToString();
    }

    /// <summary>The draft's: <c>BACKEND+PORT persistent=yes|no key=value …</c>, with <c>ro=True|False</c> for read-only.</summary>
    internal static string Listed(DeviceAddress device, bool persistent, DeviceOptions options)
    {
        var text = new StringBuilder($"{device} persistent={(persistent ? "yes" : "no")}");
        foreach (var (name, value) in options.Pairs)
        {
            text.Append(' ').Append(name == "read-only" ? $"ro={Parse.Text(value == "yes")}" : $"{name}={value}");
        }
        return text.ToString();
    }

    /// <summary>Options as events have them: <c>key='value'</c> between spaces.</summary>
    internal static string Options(DeviceOptions options)
    {
        var text = new StringBuilder();
        foreach (var (name, value) in options.Pairs)
        {
            Add(text, name, value);
        }
        return text.ToString().TrimStart();
    }

    private static void Add(StringBuilder text, string key, string value) =>
        text.Append(' ').Append(key).Append("='").Append(value.Replace("'", "\\'", StringComparison.Ordinal)).Append('\'');
}
