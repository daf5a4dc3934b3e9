using Mgmt.Core;

namespace Mgmt.Api.Tests.Lifecycle;

/// <summary>Disposables as other parts of the daemon use them.</summary>
public sealed class DisposableVmsTests
{
    [TestCase(false)]
    [TestCase(true)]
    public async Task The_end_of_its_use_kills_and_removes_it_whoever_else_sees_it(bool withCleaner)
    {
        await using var daemon = await OpenAsync();
        using var stop = new CancellationTokenSource();
        var cleaning = withCleaner ? new DisposableCleaner(daemon.Services, daemon.Maker).RunAsync(stop.Token) : Task.CompletedTask;
        var disposables = new DisposableVms(daemon.Services, daemon.Maker, daemon.Stopper);
        for (var i = 0; i < 8; i++)
        {
            var made = await disposables.CreateAsync(daemon.Vm("dvm"), "work", CancellationToken.None);
            Assert.That(made.Tags.Select(tag => tag.Value), Is.EqualTo(new[] { "created-by-work", "disp-created-by-work" }));
            await daemon.StartAsync(made.Name.Value);

            await disposables.EndAsync(made, CancellationToken.None);

            Assert.That(daemon.Store.Current.Find(made.Uuid), Is.Null);
            await Assert.DoesNotThrowAsync(() => disposables.EndAsync(made, CancellationToken.None));
        }
        await stop.CancelAsync();
        await cleaning;
    }

    [Test]
    public async Task One_that_never_ran_is_removed_too()
    {
        await using var daemon = await OpenAsync();
        var disposables = new DisposableVms(daemon.Services, daemon.Maker, daemon.Stopper);
        var made = await disposables.CreateAsync(daemon.Vm("dvm"), "dom0", CancellationToken.None);

        await disposables.EndAsync(made, CancellationToken.None);

        Assert.That(daemon.Store.Current.Find(made.Uuid), Is.Null);
    }

    [Test]
    public async Task A_name_is_not_given_to_the_next_one()
    {
        await using var daemon = await OpenAsync();
        var disposables = new DisposableVms(daemon.Services, daemon.Maker, daemon.Stopper);
        var names = new HashSet<VmName>();
        for (var i = 0; i < 20; i++)
        {
            var made = await disposables.CreateAsync(daemon.Vm("dvm"), "dom0", CancellationToken.None);
            Assert.That(names.Add(made.Name), Is.True);
            await disposables.EndAsync(made, CancellationToken.None);
        }
    }

    [Test]
    public async Task Only_a_vm_that_says_so_gives_disposables_and_a_default_is_looked_up_where_it_is_set()
    {
        await using var daemon = await OpenAsync();
        var disposables = new DisposableVms(daemon.Services, daemon.Maker, daemon.Stopper);
        await Daemon.RefusedAsync(ErrorCode.QubesException, disposables.CreateAsync(daemon.Vm("vault"), "dom0", CancellationToken.None));
        Assert.That(Assert.Throws<MgmtException>(() => disposables.DefaultOf(daemon.Store.Current, "work"))!.Code, Is.EqualTo(ErrorCode.QubesException));

        await daemon.TextAsync("mgmt.property.Set+default_dispvm dom0 dom0", "dvm");
        Assert.That(disposables.DefaultOf(daemon.Store.Current, "work").Name.Value, Is.EqualTo("dvm"));
        Assert.That(disposables.DefaultOf(daemon.Store.Current, "dom0").Name.Value, Is.EqualTo("dvm"));
        var made = await disposables.CreateAsync(daemon.Vm("dvm"), "dom0", CancellationToken.None);
        Assert.That(disposables.DefaultOf(daemon.Store.Current, made.Name.Value).Name.Value, Is.EqualTo("dvm"), "a disposable's default is what it was made from");

        await daemon.TextAsync("mgmt.vm.property.Set+default_dispvm dom0 work", "");
        Assert.That(Assert.Throws<MgmtException>(() => disposables.DefaultOf(daemon.Store.Current, "work"))!.Code, Is.EqualTo(ErrorCode.QubesException), "none is none");
        Assert.Throws<MgmtException>(() => disposables.DefaultOf(daemon.Store.Current, "nobody"));
    }

    [Test]
    public async Task A_volume_that_cannot_be_made_leaves_no_disposable()
    {
        var pools = new HeldPools { CreateError = v => v.Vid is { } vid && vid.Value.StartsWith("appvms/disp", StringComparison.Ordinal) && v.Name == VolumeName.Volatile ? new IOException("full") : null };
        await using var daemon = await OpenAsync(pools);
        var disposables = new DisposableVms(daemon.Services, daemon.Maker, daemon.Stopper);

        await Assert.ThrowsAsync<IOException>(() => disposables.CreateAsync(daemon.Vm("dvm"), "dom0", CancellationToken.None));

        Assert.That(daemon.Store.Current.Vms.Values.Where(vm => vm.Class == VmClass.DispVM), Is.Empty);
        Assert.That(daemon.Store.Current.VolumesInWork, Is.Empty);
    }

    [Test]
    public async Task None_is_made_ahead_that_the_host_has_no_memory_for()
    {
        await using var daemon = await OpenAsync();
        await daemon.TextAsync("mgmt.vm.property.Set+memory dom0 dvm", "300");
        await daemon.TextAsync("mgmt.vm.feature.Set+preload-dispvm-threshold dom0 dom0", "500");
        await daemon.TextAsync("mgmt.vm.feature.Set+preload-dispvm-max dom0 dvm", "1");
        daemon.AvailableMiB = 799;
        await daemon.TextAsync("mgmt.vm.CreateDisposable+preload dom0 dvm");
        Assert.That(daemon.Store.Current.Vms.Values.Where(vm => vm.Class == VmClass.DispVM), Is.Empty);
        daemon.AvailableMiB = 800;
        await daemon.TextAsync("mgmt.vm.CreateDisposable+preload dom0 dvm");
        Assert.That(daemon.Store.Current.Vms.Values.Count(vm => vm.Class == VmClass.DispVM), Is.EqualTo(1));
    }

    [Test]
    public async Task One_that_somebody_is_busy_with_is_passed_over()
    {
        await using var daemon = await OpenAsync();
        var ready = await PreloadAsync(daemon, 2);
        using (await daemon.Services.Gates.EnterAsync(VmName.Parse(ready[0]), CancellationToken.None))
        {
            Assert.That((await daemon.Disposables.CreateAsync(daemon.Vm("dvm"), "work", CancellationToken.None)).Name.Value, Is.EqualTo(ready[1]));
        }
        Assert.That((await daemon.Disposables.CreateAsync(daemon.Vm("dvm"), "work", CancellationToken.None)).Name.Value, Is.EqualTo(ready[0]));
    }

    [Test]
    public async Task One_that_cannot_go_on_is_gone_and_the_next_one_is_handed_out()
    {
        var continued = 0;
        var broken = new FakeVm { State = AgentState.Ready, OnContinue = _ => continued++ == 0 ? Task.CompletedTask : throw new MgmtException(ErrorCode.QubesException, "It does not go on") };
        await using var daemon = await OpenAsync(backend: FakeVm.Backend(broken, new FakeVm { State = AgentState.Ready }).Object);
        await daemon.TextAsync("mgmt.vm.property.Set+qrexec_timeout dom0 dvm", "1");
        var ready = await PreloadAsync(daemon, 2);
        Assert.That((await daemon.Disposables.CreateAsync(daemon.Vm("dvm"), "work", CancellationToken.None)).Name.Value, Is.EqualTo(ready[1]));
        Assert.That(daemon.Store.Current.Find(VmName.Parse(ready[0])), Is.Null);
        Assert.That(daemon.Vm(ready[1]).Status.State, Is.EqualTo(VmState.Running));
    }

    private static async Task<string[]> PreloadAsync(Daemon daemon, int count)
    {
        await daemon.TextAsync("mgmt.vm.feature.Set+preload-dispvm-max dom0 dvm", $"{count}");
        Assert.That(await daemon.TextAsync("mgmt.vm.CreateDisposable+preload dom0 dvm"), Is.Empty);
        return (await daemon.TextAsync("mgmt.vm.feature.Get+preload-dispvm dom0 dvm")).Split(' ');
    }

    private static async Task<Daemon> OpenAsync(HeldPools? pools = null, IVmBackend? backend = null)
    {
        var daemon = await Daemon.OpenAsync(drivers: pools?.Drivers, backend: backend);
        await daemon.TextAsync("mgmt.vm.Create.AppVM+debian dom0 dom0", "name=dvm label=red");
        await daemon.TextAsync("mgmt.vm.property.Set+template_for_dispvms dom0 dvm", "True");
        await daemon.TextAsync("mgmt.vm.property.Set+netvm dom0 dvm", "");
        return daemon;
    }
}
