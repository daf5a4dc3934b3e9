using static Mgmt.Core.AgentJson;

namespace Mgmt.Core;

// The guest's network, processors and memory.
public static partial class AgentCommands
{
    /// <summary>The guest's network interfaces and addresses.</summary>
    public static AgentCommand<GuestNothing, IReadOnlyList<GuestNetworkInterface>> NetworkInterfaces { get; } =
        new("guest-network-get-interfaces", "NetworkInterfaces", "The guest's network interfaces and addresses.", Default.GuestNothing, Default.IReadOnlyListGuestNetworkInterface);

    /// <summary>The guest's processors.</summary>
    public static AgentCommand<GuestNothing, IReadOnlyList<GuestLogicalProcessor>> Vcpus { get; } =
        new("guest-get-vcpus", "Vcpus", "The guest's processors.", Default.GuestNothing, Default.IReadOnlyListGuestLogicalProcessor);

    /// <summary>Switches processors of the guest on or off; gives how many of the list were.</summary>
    public static AgentCommand<GuestSetVcpusArguments, long> SetVcpus { get; } =
        new("guest-set-vcpus", "SetVcpus", "Switches processors of the guest on or off; gives how many of the list were.", Default.GuestSetVcpusArguments, Default.Int64);

    /// <summary>Counters of the guest's processors.</summary>
    public static AgentCommand<GuestNothing, IReadOnlyList<GuestCpuStats>> CpuStats { get; } =
        new("guest-get-cpustats", "CpuStats", "Counters of the guest's processors.", Default.GuestNothing, Default.IReadOnlyListGuestCpuStats);

    /// <summary>The guest's memory blocks.</summary>
    public static AgentCommand<GuestNothing, IReadOnlyList<GuestMemoryBlock>> MemoryBlocks { get; } =
        new("guest-get-memory-blocks", "MemoryBlocks", "The guest's memory blocks.", Default.GuestNothing, Default.IReadOnlyListGuestMemoryBlock);

    /// <summary>Switches memory blocks of the guest on or off.</summary>
    public static AgentCommand<GuestSetMemoryBlocksArguments, IReadOnlyList<GuestMemoryBlockResponse>> SetMemoryBlocks { get; } =
        new("guest-set-memory-blocks", "SetMemoryBlocks", "Switches memory blocks of the guest on or off.", Default.GuestSetMemoryBlocksArguments, Default.IReadOnlyListGuestMemoryBlockResponse);

    /// <summary>How large a memory block of the guest is.</summary>
    public static AgentCommand<GuestNothing, GuestMemoryBlockInfo> MemoryBlockInfo { get; } =
        new("guest-get-memory-block-info", "MemoryBlockInfo", "How large a memory block of the guest is.", Default.GuestNothing, Default.GuestMemoryBlockInfo);
}
