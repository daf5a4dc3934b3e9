namespace Mgmt.Core;

/// <summary>Reading and writing <see cref="VolumeName"/>.</summary>
public static class VolumeNames
{
    /// <summary>The name on the wire: <c>root private volatile kernel</c>.</summary>
    public static string Wire(this VolumeName name) => name switch
    {
        VolumeName.Root => "root",
        VolumeName.Private => "private",
        VolumeName.Volatile => "volatile",
        VolumeName.Kernel => "kernel",
        _ => throw new ArgumentOutOfRangeException(nameof(name)),
    };

    /// <summary>The volume of that name. ERRORS: QubesVolumeNotFoundError.</summary>
    public static VolumeName Parse(string text) => TryParse(text) ?? throw new MgmtException(ErrorCode.QubesVolumeNotFoundError, "No such volume: '%s'", text);

    /// <summary>The volume of that name, or null.</summary>
    public static VolumeName? TryParse(string text) => text switch
    {
        "root" => VolumeName.Root,
        "private" => VolumeName.Private,
        "volatile" => VolumeName.Volatile,
        "kernel" => VolumeName.Kernel,
        _ => null,
    };
}
