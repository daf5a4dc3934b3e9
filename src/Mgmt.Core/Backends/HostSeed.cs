using System.Collections.Immutable;

namespace Mgmt.Core;

/// <summary>What a new store starts with. dom0 is among the VMs.</summary>
public sealed record HostSeed(
    ImmutableArray<VmRecord> Vms,
    ImmutableArray<Label> Labels,
    ImmutableArray<PoolRecord> Pools,
    ImmutableSortedDictionary<string, string> Properties)
{
    /// <summary>The eight labels every host begins with.</summary>
    public static ImmutableArray<Label> DefaultLabels { get; } =
    [
        Builtin("red", 1, "0xcc0000"), Builtin("orange", 2, "0xf57900"), Builtin("yellow", 3, "0xedd400"), Builtin("green", 4, "0x73d216"),
        Builtin("gray", 5, "0x555555"), Builtin("blue", 6, "0x3465a4"), Builtin("purple", 7, "0x75507b"), Builtin("black", 8, "0x000000"),
    ];

    /// <summary>dom0 as it always is.</summary>
    public static VmRecord Dom0 { get; } = new()
    {
        Name = VmName.Dom0,
        Class = VmClass.AdminVM,
        Qid = 0,
        Uuid = Guid.Empty,
        Properties = VmRecord.Empty.Add("label", "black"),
        Status = new VmStatus { State = VmState.Running },
    };

    private static Label Builtin(string name, int index, string color) => new(LabelName.Parse(name), index, color);
}
