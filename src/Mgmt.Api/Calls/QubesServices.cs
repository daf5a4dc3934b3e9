namespace Mgmt.Api;

/// <summary>
/// Services of Qubes OS that run something in a VM, served through its guest agent under their own names. The policy is asked about them as such: a rule that redirects such a call to
/// another target, dom0 too, does not allow it. SOURCE: docs/guest-agent.md, "Services of Qubes OS".
/// </summary>
public sealed class QubesServices : ICallGroup
{
    private const int InputBytes = 1 << 20;

    // The first application of that name; its line without the codes for files and such; started for itself.
    private const string StartScript = """
        for d in "${XDG_DATA_HOME:-$HOME/.local/share}" /usr/local/share /usr/share; do
            f=$d/applications/$1.desktop
            [ -f "$f" ] && break
            f=
        done
        if [ -z "$f" ]; then echo "no application of that name: $1" >&2; exit 127; fi
        line=$(sed -n '/^\[Desktop Entry\]/,/^\[/s/^Exec *= *//p' "$f" | head -n 1 | sed 's/%[fFuUdDnNickvm]//g; s/%%/%/g')
        if [ -z "$line" ]; then echo "the application has no Exec line: $f" >&2; exit 127; fi
        DISPLAY=${DISPLAY:-:0} setsid sh -c "exec $line" </dev/null >/dev/null 2>&1 &
        """;

    private readonly LifecycleServices _services;
    private readonly AgentWork _work;
    private readonly GuestPrograms _programs;

    /// <summary>Over the VMs that run.</summary>
    public QubesServices(LifecycleServices services) => (_services, _work, _programs) = (services, new(services), new(services));

    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("qubes.VMShell", CallTarget.Vm, CallAccess.Execute, CallScope.Host, ArgumentRule.None, PayloadRule.Required("a line for the user's shell, and what follows is its input", InputBytes), CallDialects.Own,
            "Runs a shell in a VM as its `default_user`.", VmShell) { Returns = "its output", IsCancellable = true },
        new("qubes.VMExec", CallTarget.Vm, CallAccess.Execute, CallScope.Host, ArgumentRule.Required("program and arguments, encoded"), PayloadRule.Optional("its input", InputBytes), CallDialects.Own,
            "Runs a program in a VM as its `default_user`.", VmExec) { Returns = "its output", IsCancellable = true },
        new("qubes.StartApp", CallTarget.Vm, CallAccess.Execute, CallScope.Host, ArgumentRule.Required("application"), PayloadRule.None, CallDialects.Own,
            "Starts an application of a VM by its `.desktop` file as its `default_user`.", StartApp) { IsCancellable = true },
    ];

    private ValueTask<ReadOnlyMemory<byte>> VmShell(CallContext call, CancellationToken cancellation) => RunAsync(call, "exec \"${SHELL:-/bin/sh}\"", [], cancellation);

    private ValueTask<ReadOnlyMemory<byte>> VmExec(CallContext call, CancellationToken cancellation) => RunAsync(call, "exec \"$@\"", VmExecArgument.Decode(call.Argument), cancellation);

    private async ValueTask<ReadOnlyMemory<byte>> StartApp(CallContext call, CancellationToken cancellation)
    {
        await RunAsync(call, StartScript, [call.Argument], cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> RunAsync(CallContext call, string script, IEnumerable<string> words, CancellationToken cancellation)
    {
        var session = _work.Session(call.Target);
        var user = _services.Properties.Text(call.State, call.Target, "default_user");
        return await _programs.RunAsync(session, script, words, user.Length == 0 ? "root" : user, call.Payload.Bytes, cancellation);
    }
}
