namespace Mgmt.Qrexec;

/// <summary>Exit codes that qrexec gives a meaning of its own.</summary>
public static class ExitCodes
{
    /// <summary>qrexec itself could not do it.</summary>
    public const int Failed = 125;

    /// <summary>The policy refused it.</summary>
    public const int Refused = 126;

    /// <summary>There is no such service.</summary>
    public const int NotFound = 127;
}
