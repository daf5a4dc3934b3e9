using System.Collections.Immutable;
using System.Globalization;

namespace Mgmt.Api;

/// <summary>Disposable VMs: made for one use, and removed when it is over.</summary>
public sealed class DisposableCalls(LifecycleServices services, VmMaker maker) : ICallGroup
{
    private const int LastNumber = 9999;
    private const int Attempts = 16;

    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("vm.CreateDisposable", CallTarget.Any, CallAccess.Write, CallScope.Host, ArgumentRule.Optional("`preload`"), PayloadRule.Optional("`uuid`"), CallDialects.Both,
            "Makes a disposable VM from the VM called, or, called on dom0, from the caller's default_dispvm; it is removed when its run is over. preload is not built yet.", Create)
        {
            Returns = "its name; with `uuid`: `uuid:<uuid>`",
        },
    ];

    private async ValueTask<ReadOnlyMemory<byte>> Create(CallContext call, CancellationToken cancellation)
    {
        var wantsUuid = call.PayloadText("payload") switch
        {
            "" => false,
            "uuid" => true,
            _ => throw new MgmtException(ErrorCode.ProtocolError, "the payload is empty or uuid"),
        };
        if (call.Argument.Length > 0)
        {
            throw call.Argument == "preload"
                ? new MgmtException(ErrorCode.QubesNotImplementedError, "Preloaded disposables are not built yet")
                : new MgmtException(ErrorCode.ProtocolError, "the argument is empty or preload");
        }
        var made = await MakeAsync(Template(call), call.Source, cancellation);
        return Content.Text(wantsUuid ? $"uuid:{made.Uuid:D}" : made.Name.Value);
    }

    private VmRecord Template(CallContext call)
    {
        var template = call.Target;
        if (template.Class == VmClass.AdminVM)
        {
            var source = Targets.FindVm(call.State, call.Source);
            template = (source is null ? null : services.Properties.TryReferent(call.State, source, "default_dispvm"))
                ?? throw new MgmtException(ErrorCode.QubesException, "%s has no default_dispvm to make a disposable from", call.Source);
        }
        return template.Property("template_for_dispvms") == "True"
            ? template
            : throw new MgmtException(ErrorCode.QubesException, "Refusing to create DispVM out of %s, because template_for_dispvms=False", template.Name.Value);
    }

    /// <summary>A name that is free; one that somebody else takes at the same moment is followed by another.</summary>
    private async Task<VmRecord> MakeAsync(VmRecord template, string source, CancellationToken cancellation)
    {
        for (var attempt = 1; ; attempt++)
        {
            var name = FreeName(services.Store.Current);
            var blueprint = new VmBlueprint(VmClass.DispVM, name, template.Property("label") ?? "red", template.Name.Value, null, ImmutableDictionary<VolumeName, PoolName>.Empty) { AutoCleanup = true };
            try
            {
                await maker.CreateAsync(blueprint, source, null, cancellation);
                return services.Vm(name);
            }
            catch (MgmtException error) when (error.Code == ErrorCode.QubesVMAlreadyExistsError && attempt < Attempts)
            {
                // On to the next number.
            }
        }
    }

    /// <summary>disp and a number: any that is free, so that a name is not soon another's.</summary>
    private static VmName FreeName(HostState state)
    {
        var first = Random.Shared.Next(LastNumber);
        for (var i = 0; i < LastNumber; i++)
        {
            var name = VmName.Parse(string.Create(CultureInfo.InvariantCulture, $"disp{((first + i) % LastNumber) + 1}"));
            if (state.Find(name) is null)
            {
                return name;
            }
        }
        throw new MgmtException(ErrorCode.MgmtBusyError, "There are as many disposables as there can be");
    }
}
