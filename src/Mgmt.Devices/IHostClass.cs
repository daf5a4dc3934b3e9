using Mgmt.Core;

namespace Mgmt.Devices;

/// <summary>One kind of devices of the host: how they are found, and how one is opened.</summary>
internal interface IHostClass
{
    /// <summary>What there is and the host does not use. Nothing is thrown for what cannot be read.</summary>
    IEnumerable<DeviceInfo> List();

    /// <summary>Why some may not be listed: sentences.</summary>
    IEnumerable<string> Problems();

    /// <summary>Opens one that was listed a moment ago; null when it is another kind's. ERRORS: as <see cref="IDeviceHost.OpenAsync"/>.</summary>
    OpenDevice? Open(DeviceInfo device, bool readOnly);
}
