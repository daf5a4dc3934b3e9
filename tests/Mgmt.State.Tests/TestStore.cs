using System.Collections.Immutable;
using Mgmt.Core;

namespace Mgmt.State.Tests;

/// <summary>A directory that goes away, and records to put into stores.</summary>
internal sealed class TestStore : IDisposable
{
    internal static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);

    internal string Directory { get; } = System.IO.Directory.CreateTempSubdirectory("mgmt-state-").FullName;
    internal string File => Path.Combine(Directory, "state.db");

    internal Task<StateStore> OpenAsync(Func<HostSeed>? seed = null, int journalMaxEntries = 100_000, TimeProvider? time = null) =>
        StateStore.OpenAsync(
            new() { Directory = Directory, Seed = seed, JournalMaxEntries = journalMaxEntries, TimeProvider = time ?? TimeProvider.System },
            CancellationToken.None);

    public void Dispose() => System.IO.Directory.Delete(Directory, recursive: true);

    internal static VmName Name(string name) => VmName.Parse(name);

    internal static VmRecord Vm(string name, int qid) => new()
    {
        Name = Name(name),
        Class = VmClass.AppVM,
        Qid = qid,
        Uuid = Guid.NewGuid(),
        Properties = VmRecord.Empty.Add("label", "red").Add("memory", "400").Add("template", "debian").Add("netvm", "sys-net"),
        Features = VmRecord.Empty.Add("gui", "1").Add("note", "größer ✓ 𝄞 \"quoted\" \\ \n"),
        Tags = [TagName.Parse("created-by-dom0"), TagName.Parse("work")],
        Volumes = Volumes(name),
    };

    internal static VmRun Run(int pid) => new()
    {
        Pid = pid, StartTicks = 987_654_321_012, BootId = "5b0c2d6e-0000-4000-8000-000000000001", StartGuid = Guid.NewGuid(),
        StartedAt = DateTimeOffset.UtcNow, Directory = "/run/mgmtd/vm/1", Machine = "mgmt-1-work",
    };

    internal static HostSeed Seed() => new([HostSeed.Dom0, Vm("work", 1)], HostSeed.DefaultLabels,
        [new PoolRecord(PoolName.Parse("default"), "file", VmRecord.Empty.Add("dir_path", "/srv/pools/default"))], VmRecord.Empty.Add("default_netvm", "sys-net"));

    internal static VolumeInWork InWork(string vid) => new(PoolName.Parse("default"), Vid.Parse(vid));

    internal static MgmtEvent Event(int n) => MgmtEvent.Global("changed", ("n", n.ToString(System.Globalization.CultureInfo.InvariantCulture)));

    /// <summary>Everything of a record as text, because immutable dictionaries compare by reference.</summary>
    internal static string Describe(VmRecord vm) => string.Join('|',
        [vm.Name.Value, vm.Class.ToString(), $"{vm.Qid}", $"{vm.Uuid}", string.Join(',', vm.Properties), string.Join(',', vm.Features),
            string.Join(',', vm.Tags), string.Join(',', vm.Volumes.Values), $"{vm.Status.Run}", $"{vm.Status.Run?.StartedAt.UtcTicks}"]);

    private static ImmutableSortedDictionary<VolumeName, VolumeRecord> Volumes(string name)
    {
        var pool = PoolName.Parse("default");
        return new VolumeRecord[]
        {
            new() { Name = VolumeName.Root, Pool = pool, Vid = Vid.Parse($"appvms/{name}/root"), SizeBytes = 10L << 30, Writable = true, SaveOnStop = false, SnapOnStart = true, Source = Vid.Parse("vm-templates/debian/root"), RevisionsToKeep = 2 },
            new() { Name = VolumeName.Private, Pool = pool, Vid = Vid.Parse($"appvms/{name}/private"), SizeBytes = 2L << 30, Writable = true, SaveOnStop = true, SnapOnStart = false, RevisionsToKeep = -1 },
            new() { Name = VolumeName.Volatile, Pool = pool, Vid = Vid.Parse($"appvms/{name}/volatile"), SizeBytes = 10L << 30, Writable = true, SaveOnStop = false, SnapOnStart = false, Ephemeral = true },
            new() { Name = VolumeName.Kernel, Pool = PoolName.Parse("kernels"), Vid = null, SizeBytes = 0, Writable = false, SaveOnStop = false, SnapOnStart = false },
        }.ToImmutableSortedDictionary(v => v.Name, v => v);
    }
}
