using Mgmt.Core;
using Mgmt.Machined.Bus;
using Microsoft.Extensions.Logging;

namespace Mgmt.Machined;

/// <summary>Puts one process into a scope: machined, then systemd, then nothing, all within one deadline.</summary>
internal sealed class Placement(Questions questions, JobWatch jobs, RegistryHealth health, TimeSpan deadline, TimeProvider time, ILogger log)
{
    // The rest is systemd's, when machined has used up its own.
    private const double MachinedShare = 0.6;

    public async Task<MachineScope> PlaceAsync(MachineRequest request, CancellationToken cancellation)
    {
        var start = time.GetTimestamp();
        var name = MachineName.For(request.Qid, request.Name);
        var refusal = await RegisterAsync(name, request, cancellation);
        if (refusal is null)
        {
            Log.Registered(log, name, request.LeaderPid);
            return new MachineScope(MachineScopeKind.Machine, name, null);
        }
        var scope = await StartUnitAsync(name, request, refusal, deadline - time.GetElapsedTime(start), cancellation);
        Log.Degraded(log, name, request.LeaderPid, scope.Degraded!);
        return scope;
    }

    /// <summary>Null when it is registered, else why not.</summary>
    private async Task<string?> RegisterAsync(string name, MachineRequest request, CancellationToken cancellation)
    {
        var start = time.GetTimestamp();
        var share = deadline * MachinedShare;
        var reply = await questions.AskAsync(MachineCalls.Create(name, request), reader => reader.ObjectPath(), share, cancellation);
        if (reply.Failure is not { } failure)
        {
            health.Ok("answers");
            return null;
        }
        health.Note(failure);
        return failure switch
        {
            // A name that is taken, or a leader that already leads a machine: ours, when the daemon asks twice.
            { Name: MachineCalls.MachineExists or MachineCalls.LeaderTaken } =>
                await ClaimAsync(name, request, share - time.GetElapsedTime(start), cancellation),
            { Kind: BusFailureKind.Unanswered or BusFailureKind.Lost } =>
                $"systemd-machined: {failure.Message}; whether it will still register {name} is unknown until asked again",
            { Kind: BusFailureKind.BadReply } => null, // it said yes, in a shape we do not read
            { Kind: BusFailureKind.NotSent } => $"systemd-machined is not reachable: {failure.Message}",
            _ when MachineCalls.IsAbsent(failure) => $"systemd-machined is not available: {failure.Message}",
            _ => $"systemd-machined refused: {failure.Message} ({failure.Name})",
        };
    }

    private async Task<string?> ClaimAsync(string name, MachineRequest request, TimeSpan within, CancellationToken cancellation)
    {
        var owns = await questions.OwnsAsync(name, request.Uuid, request.LeaderPid, within, cancellation);
        return owns switch
        {
            { Value: true } => null,
            { Failure: { } failure } => $"a machine {name} exists and systemd-machined did not say whose it is: {failure.Message}",
            _ => $"the machine {name} or its leader is taken by another machine",
        };
    }

    private async Task<MachineScope> StartUnitAsync(string name, MachineRequest request, string refusal, TimeSpan within, CancellationToken cancellation)
    {
        var start = time.GetTimestamp();
        var unit = MachineName.Unit(name);
        var reply = await questions.AskAsync(MachineCalls.StartUnit(unit, request), jobs.Expect, within, cancellation);
        if (reply.Failure is { Name: MachineCalls.UnitExists } && ControlGroup.IsIn(request.LeaderPid, unit))
        {
            return new MachineScope(MachineScopeKind.Unit, unit, refusal);
        }
        if (reply.Failure is { } failure)
        {
            var doubt = failure.Kind is BusFailureKind.Unanswered or BusFailureKind.Lost ? $", and whether it will still make {unit} is unknown" : "";
            return new MachineScope(MachineScopeKind.None, "", $"{refusal}; and systemd made no scope: {failure.Message}{doubt}");
        }
        var result = await JobAsync(reply.Value!, within - time.GetElapsedTime(start), cancellation);
        return result switch
        {
            "done" => new MachineScope(MachineScopeKind.Unit, unit, refusal),
            null => new MachineScope(MachineScopeKind.Unit, unit, $"{refusal}; systemd took the scope in hand and has not said that it is done"),
            _ => new MachineScope(MachineScopeKind.None, "", $"{refusal}; and systemd made no scope: job {result}"),
        };
    }

    /// <summary>The job's result, null when it does not come in time.</summary>
    private async Task<string?> JobAsync(JobWatch.Job job, TimeSpan within, CancellationToken cancellation)
    {
        try
        {
            return await job.Result.WaitAsync(within > TimeSpan.Zero ? within : TimeSpan.Zero, time, cancellation);
        }
        catch (TimeoutException)
        {
            return null;
        }
        finally
        {
            jobs.Forget(job);
        }
    }
}
