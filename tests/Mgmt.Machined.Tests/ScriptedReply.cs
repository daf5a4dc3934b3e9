using Microsoft.Win32.SafeHandles;

namespace Mgmt.Machined.Tests;

/// <summary>What a scripted bus sends for a call: bytes, and open files with the first of them. After <see cref="CutAt"/> bytes the connection ends.</summary>
internal sealed record ScriptedReply(byte[] Bytes)
{
    public SafeFileHandle[] Files { get; init; } = [];

    /// <summary>Sent before, without files.</summary>
    public byte[] Before { get; init; } = [];

    public int CutAt { get; init; } = int.MaxValue;
}
