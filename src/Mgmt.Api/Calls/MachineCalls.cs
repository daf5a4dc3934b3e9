using System.Text;

namespace Mgmt.Api;

/// <summary>Machines of the host that are no VMs: containers, and what others registered. SOURCE: docs/machines.md.</summary>
public sealed class MachineCalls(MachineOperations machines, MachineCopies copies) : ICallGroup
{
    private static readonly ArgumentRule s_machine = ArgumentRule.Required("machine");

    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("machine.List", CallTarget.Dom0, CallAccess.Read, CallScope.Host, ArgumentRule.OneEntry("machine"), PayloadRule.None, CallDialects.Mgmt,
            "The machines of systemd-machined that are no VMs.", List) { Returns = "`<name> class=container,vm service=<registrar>\\n`" },
        new("machine.Info", CallTarget.Dom0, CallAccess.Read, CallScope.Host, s_machine, PayloadRule.None, CallDialects.Mgmt,
            "What systemd-machined and a container itself say of it, addresses and operating system too.", Info) { Returns = "`<key>=<value>\\n`" },
        new("machine.Start", CallTarget.Dom0, CallAccess.Execute, CallScope.Host, s_machine, PayloadRule.None, CallDialects.Mgmt,
            "Starts the container of an image of that name (systemd-nspawn@.service); replies when it runs.", Start) { IsCancellable = true },
        new("machine.Shutdown", CallTarget.Dom0, CallAccess.Execute, CallScope.Host, s_machine, PayloadRule.None, CallDialects.Mgmt,
            "Asks a container to power off; does not wait for it.", Shutdown),
        new("machine.Kill", CallTarget.Dom0, CallAccess.Execute, CallScope.Host, s_machine, PayloadRule.None, CallDialects.Mgmt,
            "Ends a machine by force.", Kill),
        new("machine.Console", CallTarget.Dom0, CallAccess.Execute, CallScope.Host, s_machine,
            PayloadRule.Streamed("a line of JSON, then frames of what is typed", TerminalWish.MaxBytes), CallDialects.Mgmt,
            "A terminal of a container, with a login prompt or with nothing at its other end.", Console) { Content = ContentKind.Frames, IsInteractive = true, IsCancellable = true },
        new("machine.Run", CallTarget.Dom0, CallAccess.Execute, CallScope.Host, s_machine,
            PayloadRule.Streamed("a line of JSON, then frames of what is typed", TerminalWish.MaxBytes), CallDialects.Mgmt,
            "Runs a program in a container, on a terminal.", Run) { Content = ContentKind.Frames, IsInteractive = true, IsCancellable = true },
        new("machine.CopyFrom", CallTarget.Dom0, CallAccess.Execute, CallScope.Host, s_machine, PayloadRule.Required("path in the container"), CallDialects.Mgmt,
            "Sends a file of a container, or a directory as a tar stream.", CopyFrom) { Content = ContentKind.Frames, IsCancellable = true },
        new("machine.CopyTo", CallTarget.Dom0, CallAccess.Execute, CallScope.Host, s_machine, PayloadRule.Streamed("a line of JSON, then the file or a tar stream", CopyWish.MaxBytes), CallDialects.Mgmt,
            "Puts a file, or a directory from a tar stream, into a container.", CopyTo) { IsCancellable = true },
    ];

    private async ValueTask<ReadOnlyMemory<byte>> List(CallContext call, CancellationToken cancellation) => Content.Text(await machines.ListAsync(call.Argument, cancellation));

    private async ValueTask<ReadOnlyMemory<byte>> Info(CallContext call, CancellationToken cancellation) => Content.Text(await machines.InfoAsync(Name(call), cancellation));

    private async ValueTask<ReadOnlyMemory<byte>> Start(CallContext call, CancellationToken cancellation)
    {
        await machines.StartAsync(Name(call), cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> Shutdown(CallContext call, CancellationToken cancellation)
    {
        await machines.ShutdownAsync(Name(call), cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> Kill(CallContext call, CancellationToken cancellation)
    {
        await machines.KillAsync(Name(call), cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> Console(CallContext call, CancellationToken cancellation)
    {
        await machines.ConsoleAsync(Name(call), TerminalWish.Parse(call.StreamHead, program: false), call, cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> Run(CallContext call, CancellationToken cancellation)
    {
        await machines.RunAsync(Name(call), TerminalWish.Parse(call.StreamHead, program: true), call, cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> CopyFrom(CallContext call, CancellationToken cancellation)
    {
        await copies.FromAsync(Name(call), Utf8(call.Payload), call.Output!, cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> CopyTo(CallContext call, CancellationToken cancellation)
    {
        await copies.ToAsync(Name(call), CopyWish.Parse(call.StreamHead), call.PayloadStream!, cancellation);
        return Content.Empty;
    }

    private static HostMachineName Name(CallContext call) => HostMachineName.Parse(call.Argument);

    private static string Utf8(Untrusted payload)
    {
        try
        {
            return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(payload.Bytes.Span);
        }
        catch (DecoderFallbackException bad)
        {
            throw new MgmtException(bad, ErrorCode.QubesValueError, "The path is not UTF-8");
        }
    }
}
