using Mgmt.Core;
using Moq;

namespace Mgmt.Api.Tests.Lifecycle;

public sealed class LifecycleTests
{
    private static readonly VmRun Lost = new() { Pid = 5_000_009, StartTicks = 1, BootId = "b", StartGuid = Guid.NewGuid(), StartedAt = DateTimeOffset.UnixEpoch };

    [Test]
    public async Task A_life_has_its_events_in_the_order_of_qubes()
    {
        await using var daemon = await Daemon.OpenAsync(backend: FakeVm.Backend(new FakeVm()).Object);
        await daemon.StartAsync("vault");
        await daemon.KillAsync("vault");

        Assert.That(daemon.Events("vault"), Is.EqualTo(new[]
        {
            "domain-pre-start mem_required=400", "domain-pre-spawn", "property-reset:xid name=xid", "property-reset:stubdom_xid name=stubdom_xid", "property-reset:start_time name=start_time", "domain-spawn", "domain-pre-unpaused", "domain-unpaused", "domain-start",
            "domain-stopped", "property-reset:xid name=xid", "property-reset:stubdom_xid name=stubdom_xid", "property-reset:start_time name=start_time", "domain-shutdown",
        }));
    }

    [Test]
    public async Task A_volume_that_cannot_be_made_takes_back_those_before_it()
    {
        var pools = new HeldPools { CreateError = v => v.Name == VolumeName.Volatile ? new IOException("full") : null };
        await using var daemon = await Daemon.OpenAsync(drivers: pools.Drivers);

        Assert.That(await daemon.RefusalAsync("mgmt.vm.Create.AppVM+debian dom0 dom0", "name=new label=red"), Is.EqualTo(ErrorCode.MgmtInternalError));

        var made = pools.Log.Where(l => l.StartsWith("create", StringComparison.Ordinal)).SkipLast(1).Select(l => l.Split(' ')[1]);
        Assert.That(pools.Log.Where(l => l.StartsWith("remove", StringComparison.Ordinal)).Select(l => l.Split(' ')[1]), Is.EqualTo(made.Reverse()));
        Assert.That(daemon.Store.Current.Find(Daemon.Name("new")), Is.Null);
    }

    [Test]
    public async Task Two_creations_of_one_name_make_one_vm()
    {
        await using var daemon = await Daemon.OpenAsync();

        var results = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => daemon.CallAsync("mgmt.vm.Create.AppVM+debian dom0 dom0", "name=new label=red")));

        Assert.That(results.Count(r => r.Error is null), Is.EqualTo(1));
        Assert.That(results.Where(r => r.Error is not null).Select(r => r.Error!.Code), Is.All.EqualTo(ErrorCode.QubesVMAlreadyExistsError));
    }

    [Test]
    public async Task A_vm_that_goes_takes_the_grants_in_its_name_along()
    {
        await using var daemon = await Daemon.OpenAsync();
        await daemon.TextAsync("mgmt.vm.tag.Set+created-by-work dom0 vault");

        await daemon.TextAsync("mgmt.vm.Remove dom0 work");

        Assert.That(daemon.Vm("vault").Tags, Is.Empty);
        Assert.That(daemon.Events("vault")[^1], Is.EqualTo("domain-tag-delete:created-by-work tag=created-by-work"));
    }

    [Test]
    public async Task What_is_gone_is_put_away_unseen_and_what_throws_is_unknown()
    {
        var backend = FakeVm.Backend();
        backend.Setup(b => b.ReapStraysAsync(It.IsAny<IReadOnlyCollection<VmRun>>(), It.IsAny<CancellationToken>())).ThrowsAsync(new IOException("no strays today"));
        backend.Setup(b => b.AdoptAsync(It.IsAny<VmRecord>(), It.IsAny<VmRun>(), It.IsAny<CancellationToken>()))
            .Returns((VmRecord vm, VmRun _, CancellationToken _) => vm.Name.Value == "work" ? throw new IOException("lies") : Task.FromResult<IRunningVm?>(null));
        await using var daemon = await Daemon.OpenAsync(backend: backend.Object);
        foreach (var name in (string[])["work", "vault"])
        {
            await daemon.Store.ApplyAsync(c => c.PutVm(c.State.Get(Daemon.Name(name)) with { Status = new() { State = VmState.NA, Run = Lost with { StartGuid = Guid.NewGuid() } } }), CancellationToken.None);
        }
        using var stop = new CancellationTokenSource();

        var trying = await daemon.Adopter.AdoptAllAsync(stop.Token);

        Assert.That(daemon.Events("vault")[^1], Is.EqualTo("domain-shutdown reason=unseen"));
        Assert.That(daemon.Vm("vault").Status.State, Is.EqualTo(VmState.Halted));
        Assert.That(daemon.Vm("work").Status.State, Is.EqualTo(VmState.NA));
        Assert.That(daemon.Events("work"), Is.EqualTo(new[] { "fault-set fault=unreachable" }));
        await stop.CancelAsync();
        await trying;
    }
}
