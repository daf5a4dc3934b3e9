using System.Collections.Frozen;

namespace Mgmt.Core;

/// <summary>Every command of the guest agent reference and of <c>qemu-ga -b help</c> (7.2): the table that clients, calls, documentation and completion are made of.</summary>
public static partial class AgentCommands
{
    private static readonly FrozenDictionary<string, AgentCommand> s_byName;

    static AgentCommands()
    {
        All =
        [
            SyncDelimited, Sync, Ping, Info, Time, SetTime, Shutdown, SuspendDisk, SuspendRam, SuspendHybrid, OsInfo, HostName, Timezone, Users, Devices,
            FileOpen, FileClose, FileRead, FileWrite, FileSeek, FileFlush, Exec, ExecStatus,
            FsfreezeStatus, FsfreezeFreeze, FsfreezeFreezeList, FsfreezeThaw, Fstrim, FsInfo, Disks, DiskStats,
            NetworkInterfaces, Vcpus, SetVcpus, CpuStats, MemoryBlocks, SetMemoryBlocks, MemoryBlockInfo,
            SetUserPassword, SshAuthorizedKeys, SshAddAuthorizedKeys, SshRemoveAuthorizedKeys,
        ];
        s_byName = All.ToFrozenDictionary(command => command.Name, StringComparer.Ordinal);
    }

    /// <summary>All of them, by family.</summary>
    public static IReadOnlyList<AgentCommand> All { get; }

    /// <summary>By the agent's own name; null for one that the reference has not.</summary>
    public static AgentCommand? Find(string name) => s_byName.GetValueOrDefault(name);

    /// <summary>By any name that people use: <c>guest-get-osinfo</c>, <c>get-osinfo</c>, <c>osinfo</c>, <c>OsInfo</c>. Null when it is none.</summary>
    public static AgentCommand? FindAny(string name) => All.FirstOrDefault(command => Plain(command.Call) == Plain(name));

    private static string Plain(string name)
    {
        var plain = name.StartsWith("guest-", StringComparison.Ordinal) ? name["guest-".Length..] : name;
        return plain.Replace("get-", "", StringComparison.Ordinal).Replace("-", "", StringComparison.Ordinal).ToLowerInvariant();
    }
}
