using System.Runtime.InteropServices;

namespace Mgmt.Storage;

/// <summary>Failures of the C library as the exceptions .NET itself would throw.</summary>
internal static class Errno
{
    internal const int NoEntry = 2, Exists = 17, CrossDevice = 18, Invalid = 22, NotTty = 25, NoSpace = 28, NotImplemented = 38, NotSupported = 95, Quota = 122;

    internal static IOException Exception(int errno) => new(Marshal.GetPInvokeErrorMessage(errno), errno);

    internal static IOException Last() => Exception(Marshal.GetLastPInvokeError());

    /// <summary>Whether a failure means that the disk is full. .NET keeps errno in HResult for most, a Windows code for this one.</summary>
    internal static bool IsNoSpace(Exception failure) =>
        failure is IOException && (failure.HResult is NoSpace or Quota || failure.HResult == unchecked((int)0x80070070));
}
