using System.Collections.Immutable;
using Mgmt.Core;

namespace Mgmt.State.Tests;

public sealed class PersistenceTests
{
    private TestStore _files = null!;

    [SetUp]
    public void SetUp() => _files = new TestStore();

    [TearDown]
    public void TearDown() => _files.Dispose();

    [Test]
    public async Task A_new_store_starts_with_the_seed_and_a_later_one_does_not_ask_for_it()
    {
        await using (var store = await _files.OpenAsync(TestStore.Seed))
        {
            Assert.That(store.IsNew);
            Assert.That(store.Current.Vms.Keys.Select(name => name.Value), Is.EqualTo(new[] { "dom0", "work" }));
        }
        await using var again = await _files.OpenAsync(() => throw new InvalidOperationException("asked for the seed"));
        Assert.Multiple(() =>
        {
            Assert.That(again.IsNew, Is.False);
            Assert.That(again.Current.Vms.Keys.Select(name => name.Value), Is.EqualTo(new[] { "dom0", "work" }));
            Assert.That(again.Current.Labels.Values, Is.EqualTo(HostSeed.DefaultLabels.OrderBy(label => label.Name)));
            Assert.That(again.Current.Pools.Values.Single().Config["dir_path"], Is.EqualTo("/srv/pools/default"));
            Assert.That(again.Current.Properties["default_netvm"], Is.EqualTo("sys-net"));
            Assert.That(again.Current.Find(Guid.Empty)!.Name, Is.EqualTo(VmName.Dom0));
        });
    }

    [Test]
    public async Task Every_part_of_a_vm_comes_back_as_it_was()
    {
        var running = TestStore.Vm("running", 7) with { Class = VmClass.StandaloneVM, Status = new() { State = VmState.Running, Run = TestStore.Run(4711) with { FrozenAt = DateTimeOffset.UnixEpoch.AddMilliseconds(1) }, Agent = AgentState.Ready, Faults = ["machined"] } };
        var empty = new VmRecord { Name = TestStore.Name("empty"), Class = VmClass.RemoteVM, Qid = 8, Uuid = Guid.NewGuid() };
        await using (var store = await _files.OpenAsync(TestStore.Seed))
        {
            await store.ApplyAsync(t => { t.PutVm(running); t.PutVm(empty); }, CancellationToken.None);
        }
        await using var again = await _files.OpenAsync();
        Assert.Multiple(() =>
        {
            Assert.That(TestStore.Describe(again.Current.Get(running.Name)), Is.EqualTo(TestStore.Describe(running)));
            Assert.That(TestStore.Describe(again.Current.Get(empty.Name)), Is.EqualTo(TestStore.Describe(empty)));
        });
    }

    [Test]
    public async Task After_a_restart_a_vm_with_a_run_is_unknown_dom0_runs_and_others_are_halted()
    {
        await using (var store = await _files.OpenAsync(TestStore.Seed))
        {
            await store.ApplyAsync(t =>
            {
                t.PutVm(TestStore.Vm("running", 7) with { Status = new() { State = VmState.Running, Run = TestStore.Run(1), Faults = ["machined"] } });
                t.PutVm(TestStore.Vm("crashed", 9) with { Status = new() { State = VmState.Crashed } });
            }, CancellationToken.None);
        }
        await using var again = await _files.OpenAsync();
        Assert.That(again.Current.Vms.Values.Select(vm => $"{vm.Name}={vm.Status.State}"), Is.EqualTo(new[] { "crashed=Halted", "dom0=Running", "running=NA", "work=Halted" }));
        Assert.That(again.Current.Get(TestStore.Name("running")).Status.Faults, Is.Empty);
    }

    [Test]
    public async Task What_was_removed_stays_removed()
    {
        await using (var store = await _files.OpenAsync(TestStore.Seed))
        {
            await store.ApplyAsync(t =>
            {
                t.RemoveVm(TestStore.Name("work"));
                t.RemoveLabel(LabelName.Parse("red"));
                t.RemovePool(PoolName.Parse("default"));
                t.SetProperty("default_netvm", null);
                t.SetProperty("default_kernel", "");
            }, CancellationToken.None);
        }
        await using var again = await _files.OpenAsync();
        Assert.Multiple(() =>
        {
            Assert.That(again.Current.Vms.Keys, Is.EqualTo(new[] { VmName.Dom0 }));
            Assert.That(again.Current.NamesByUuid, Has.Count.EqualTo(1));
            Assert.That(again.Current.Labels, Has.Count.EqualTo(7));
            Assert.That(again.Current.Pools, Is.Empty);
            Assert.That(again.Current.Properties, Is.EqualTo(new Dictionary<string, string> { ["default_kernel"] = "" }));
        });
    }

    [Test]
    public async Task Volumes_in_work_come_back_until_they_are_taken_out()
    {
        await using (var store = await _files.OpenAsync(TestStore.Seed))
        {
            await store.ApplyAsync(t => { t.AddVolumeInWork(TestStore.InWork("a/1")); t.AddVolumeInWork(TestStore.InWork("a/2")); }, CancellationToken.None);
            await store.ApplyAsync(t => { t.AddVolumeInWork(TestStore.InWork("a/2")); t.RemoveVolumeInWork(TestStore.InWork("b")); }, CancellationToken.None);
            await store.ApplyAsync(t => { t.AddVolumeInWork(TestStore.InWork("c")); t.RemoveVolumeInWork(TestStore.InWork("c")); }, CancellationToken.None);
            await store.ApplyAsync(t => t.RemoveVolumeInWork(TestStore.InWork("a/1")), CancellationToken.None);
            Assert.That(store.Current.VolumesInWork, Is.EqualTo(new[] { TestStore.InWork("a/2") }));
        }
        await using var again = await _files.OpenAsync();
        Assert.That(again.Current.VolumesInWork, Is.EqualTo(new[] { TestStore.InWork("a/2") }));
    }

    [Test]
    public async Task Assigned_devices_come_back_as_they_were()
    {
        var disk = DeviceAddress.Of(DeviceClass.Block, TestStore.Name("dom0"), "sda");
        var stick = DeviceAddress.Of(DeviceClass.Usb, TestStore.Name("dom0"), "1-2.3");
        DeviceAssignment[] assigned =
        [
            new(disk, DeviceMode.Required, new() { ReadOnly = true, FrontendName = "data", OnUsb = true }, null), new(stick, DeviceMode.AskToAttach, DeviceOptions.None, "1d6b:0104:se'rial:u080650"),
        ];
        await using (var store = await _files.OpenAsync(TestStore.Seed))
        {
            await store.ApplyAsync(t => t.PutVm(t.State.Get(TestStore.Name("work")) with { Assignments = assigned.ToImmutableSortedDictionary(a => a.Device, a => a) }), CancellationToken.None);
        }
        await using var again = await _files.OpenAsync();
        Assert.That(again.Current.Get(TestStore.Name("work")).Assignments.Values, Is.EqualTo(assigned));
    }

    [Test]
    public async Task A_vm_may_take_the_qid_and_uuid_of_one_that_goes_in_the_same_change()
    {
        await using var store = await _files.OpenAsync(TestStore.Seed);
        var old = store.Current.Get(TestStore.Name("work"));
        await store.ApplyAsync(t => { t.RemoveVm(old.Name); t.PutVm(old with { Name = TestStore.Name("renamed") }); }, CancellationToken.None);
        Assert.That(store.Current.Find(old.Uuid)!.Name.Value, Is.EqualTo("renamed"));
    }

    // Numbers, because an attribute cannot hold half a surrogate pair.
    [TestCase(0x0000)]
    [TestCase(0xd834)]
    [TestCase(0xdd1e)]
    public async Task Text_that_would_not_come_back_is_refused(int codeUnit)
    {
        var text = $"a{(char)codeUnit}b";
        await using var store = await _files.OpenAsync(TestStore.Seed);
        var work = store.Current.Get(TestStore.Name("work"));
        Action<IStateTransaction>[] changes =
        [
            t => t.SetProperty("p", text), t => t.SetProperty(text, "v"), t => t.PutVm(work.WithProperty("p", text)), t => t.PutVm(work with { Features = work.Features.Add(text, "") }),
            t => t.PutVm(work with { Status = new() { Run = TestStore.Run(1) with { Machine = text } } }), t => t.PutPool(new(PoolName.Parse("p"), "file", VmRecord.Empty.Add("k", text))),
            t => t.Emit(MgmtEvent.Global("e", ("k", text))), t => t.Emit(MgmtEvent.Global(text)),
        ];
        var before = store.Current;
        foreach (var change in changes)
        {
            var error = await Assert.ThatAsyncThrows<MgmtException>(store.ApplyAsync(change, CancellationToken.None));
            Assert.That(error.Code, Is.EqualTo(ErrorCode.QubesValueError));
        }
        Assert.That(store.Current, Is.SameAs(before));
        Assert.That(store.Journal.Newest.Sequence, Is.Zero);
    }

    [Test]
    public async Task Files_are_for_the_owner_only()
    {
        await using var store = await _files.OpenAsync(TestStore.Seed);
        foreach (var file in Directory.GetFiles(_files.Directory))
        {
            Assert.That(File.GetUnixFileMode(file), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite), file);
        }
    }
}
