using static Mgmt.Core.AgentCommands;

namespace Mgmt.Api;

/// <summary>
/// The commands of the guest agent, each a call of its own, so that policy can allow reading a guest's system and refuse running programs in it. What the guest says is handed on as
/// JSON, checked and bounded, and never kept. SOURCE: docs/guest-agent.md.
/// </summary>
public sealed class AgentCalls : ICallGroup
{
    /// <summary>For what carries data: 1 MiB in base64, and its arguments.</summary>
    private const int DataBytes = 3 << 19;
    private const string Prefix = "vm.agent.";
    private readonly AgentWork _work;
    private readonly LifecycleServices _services;

    /// <summary>Over the VMs that run.</summary>
    public AgentCalls(LifecycleServices services) => (_services, _work) = (services, new(services));

    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("vm.GuestFacts", CallTarget.Vm, CallAccess.Read, CallScope.Vm, ArgumentRule.None, PayloadRule.None, CallDialects.Mgmt,
            "What a guest last said of itself, each with its age, from memory: system, name, interfaces, users, time zone, how far its clock is ahead.", Facts) { Returns = "JSON" },
        // What changes nothing.
        Row(Ping, CallAccess.Read, CallScope.Vm), Row(Info, CallAccess.Read, CallScope.Vm), Row(OsInfo, CallAccess.Read, CallScope.Vm), Row(HostName, CallAccess.Read, CallScope.Vm),
        Row(Time, CallAccess.Read, CallScope.Vm), Row(Timezone, CallAccess.Read, CallScope.Vm), Row(Users, CallAccess.Read, CallScope.Vm), Row(Devices, CallAccess.Read, CallScope.Vm),
        Row(FsInfo, CallAccess.Read, CallScope.Vm), Row(Disks, CallAccess.Read, CallScope.Vm), Row(DiskStats, CallAccess.Read, CallScope.Vm), Row(FsfreezeStatus, CallAccess.Read, CallScope.Vm),
        Row(NetworkInterfaces, CallAccess.Read, CallScope.Vm), Row(Vcpus, CallAccess.Read, CallScope.Vm), Row(CpuStats, CallAccess.Read, CallScope.Vm),
        Row(MemoryBlocks, CallAccess.Read, CallScope.Vm), Row(MemoryBlockInfo, CallAccess.Read, CallScope.Vm), Row(SshAuthorizedKeys, CallAccess.Read, CallScope.Vm),
        // What makes something happen in the guest that its own users could.
        Row(SetTime, CallAccess.Execute, CallScope.Vm), Row(Shutdown, CallAccess.Execute, CallScope.Vm), Row(SuspendDisk, CallAccess.Execute, CallScope.Vm), Row(SuspendRam, CallAccess.Execute, CallScope.Vm),
        Row(SuspendHybrid, CallAccess.Execute, CallScope.Vm), Row(FsfreezeFreeze, CallAccess.Execute, CallScope.Vm), Row(FsfreezeFreezeList, CallAccess.Execute, CallScope.Vm),
        Row(FsfreezeThaw, CallAccess.Execute, CallScope.Vm), Row(Fstrim, CallAccess.Execute, CallScope.Vm), Row(SetVcpus, CallAccess.Execute, CallScope.Vm),
        Row(SetMemoryBlocks, CallAccess.Execute, CallScope.Vm), Row(SshRemoveAuthorizedKeys, CallAccess.Write, CallScope.Vm),
        // Of what somebody opened or started, who had to be allowed that.
        Row(FileClose, CallAccess.Execute, CallScope.Vm), Row(FileRead, CallAccess.Execute, CallScope.Vm), Row(FileWrite, CallAccess.Execute, CallScope.Vm, DataBytes),
        Row(FileSeek, CallAccess.Execute, CallScope.Vm), Row(FileFlush, CallAccess.Execute, CallScope.Vm), Row(ExecStatus, CallAccess.Execute, CallScope.Vm),
        // What makes the caller master of the guest.
        Row(FileOpen, CallAccess.Execute, CallScope.Host), Row(Exec, CallAccess.Execute, CallScope.Host, DataBytes), Row(SetUserPassword, CallAccess.Write, CallScope.Host),
        Row(SshAddAuthorizedKeys, CallAccess.Write, CallScope.Host),
    ];

    private ValueTask<ReadOnlyMemory<byte>> Facts(CallContext call, CancellationToken cancellation) =>
        new((_services.Sessions.Find(call.Target.Name)?.Facts ?? GuestFacts.None).Write(call.Target.Status.Agent, _services.Clock.GetUtcNow()));

    private CallRow Row(AgentCommand command, CallAccess access, CallScope scope, int capBytes = PayloadRule.DefaultCapBytes) =>
        new(Prefix + command.Call, CallTarget.Vm, access, scope, ArgumentRule.None, Payload(command, capBytes), CallDialects.Mgmt, $"{command.Summary} ({command.Name})",
            async (call, cancellation) => await _work.AskAsync(command, call, cancellation)) { Returns = "JSON" };

    private static PayloadRule Payload(AgentCommand command, int capBytes) =>
        command.Arguments.Properties.Count == 0 ? PayloadRule.Optional("JSON, `{}`", capBytes) : command.NeedsArguments ? PayloadRule.Required("JSON", capBytes) : PayloadRule.Optional("JSON", capBytes);
}
