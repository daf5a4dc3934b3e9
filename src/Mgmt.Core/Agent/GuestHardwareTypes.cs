namespace Mgmt.Core;

/// <summary>Of guest-get-cpustats: what a processor did, in milliseconds; the type is the guest's system. SOURCE: QEMU 7.1, qga/qapi-schema.json.</summary>
public sealed record GuestCpuStats(
    string Type, long? Cpu = null, long? User = null, long? Nice = null, long? System = null, long? Idle = null, long? Iowait = null, long? Irq = null,
    long? Softirq = null, long? Steal = null, long? Guest = null, long? Guestnice = null);

/// <summary>An address; the type is ipv4 or ipv6, the prefix in bits.</summary>
public sealed record GuestIpAddress(string IpAddress, string IpAddressType, long Prefix);

/// <summary>Counters of an interface.</summary>
public sealed record GuestNetworkStatistics(
    long RxBytes, long RxPackets, long RxErrs, long RxDropped, long TxBytes, long TxPackets, long TxErrs, long TxDropped);

/// <summary>Of guest-network-get-interfaces.</summary>
public sealed record GuestNetworkInterface(
    string Name, string? HardwareAddress = null, IReadOnlyList<GuestIpAddress>? IpAddresses = null, GuestNetworkStatistics? Statistics = null);

/// <summary>A processor of the guest; whether it can be switched off is said, never read.</summary>
public sealed record GuestLogicalProcessor(long LogicalId, bool Online, bool? CanOffline = null);

/// <summary>Of guest-set-vcpus.</summary>
public sealed record GuestSetVcpusArguments(IReadOnlyList<GuestLogicalProcessor> Vcpus);

/// <summary>A block of the guest's memory; whether it can be switched off is said, never read.</summary>
public sealed record GuestMemoryBlock(long PhysIndex, bool Online, bool? CanOffline = null);

/// <summary>Of guest-set-memory-blocks.</summary>
public sealed record GuestSetMemoryBlocksArguments(IReadOnlyList<GuestMemoryBlock> MemBlks);

/// <summary>What came of one block: success, not-found, operation-not-supported or operation-failed, with an errno.</summary>
public sealed record GuestMemoryBlockResponse(long PhysIndex, string Response, long? ErrorCode = null);

/// <summary>Of guest-get-memory-block-info: bytes of each block.</summary>
public sealed record GuestMemoryBlockInfo(long Size);
