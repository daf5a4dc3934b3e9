namespace Mgmt.Core;

/// <summary>The volumes a VM can have. On the wire and in files: the member's name in lower case.</summary>
public enum VolumeName
{
    /// <summary>The system disk.</summary>
    Root,
    /// <summary>The disk that a VM keeps for itself.</summary>
    Private,
    /// <summary>Scratch space, made anew at each start.</summary>
    Volatile,
    /// <summary>The kernel it boots, from the kernels pool.</summary>
    Kernel,
}
