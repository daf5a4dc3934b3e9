using System.IO.Pipelines;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Api.Tests.Lifecycle;

public sealed class VolumeOperationsTests
{
    private static readonly SnapshotWish NoWish = new(null, false, QuiesceWish.Try);

    private static VolumeAddress Private(Daemon daemon, string vm) => VolumeAddress.Of(daemon.Vm(vm), "private");

    private static List<string> Told(Daemon daemon) => daemon.Events("vault").FindAll(e => e.StartsWith("volume-", StringComparison.Ordinal));

    private static PipeReader Bytes(int count) => PipeReader.Create(new MemoryStream(new byte[count]));

    /// <summary>The default host, where storage fails as said.</summary>
    private static string Failing(string faults)
    {
        var document = File.ReadAllText(Path.Combine(Repository.Root, "src", "Mgmt.TestHost", "default-host.json"));
        return document.Replace("  \"labels\": {", $"  \"behaviour\": {{ \"faults\": {{ \"storage\": {faults} }} }},\n  \"labels\": {{", StringComparison.Ordinal);
    }

    private static IEnumerable<TestCaseData> Operations()
    {
        (string Name, Func<VolumeOperations, VolumeAddress, string, Task> Act)[] all =
        [
            ("snapshot", (o, a, _) => o.SnapshotAsync(a, NoWish, 1, CancellationToken.None)),
            ("revert", (o, a, _) => o.RevertAsync(a, RevisionId.Parse("1"), CancellationToken.None)),
            ("resize", (o, a, _) => o.ResizeAsync(a, 4294967296, false, CancellationToken.None)),
            ("import", (o, a, _) => o.ImportAsync(a, Bytes(512), 512, 1, CancellationToken.None)),
            ("clear", (o, a, _) => o.ClearAsync(a, CancellationToken.None)),
            ("clone", (o, a, token) => o.CloneToAsync(a, token, 1, CancellationToken.None)),
        ];
        return all.Select(operation => new TestCaseData(operation.Name, operation.Act).SetArgDisplayNames(operation.Name));
    }

    [TestCaseSource(nameof(Operations))]
    public async Task Of_a_vm_whose_state_is_unknown_nothing_is_touched(string name, Func<VolumeOperations, VolumeAddress, string, Task> act)
    {
        await using var daemon = await Daemon.OpenAsync();
        var volumes = new VolumeOperations(daemon.Services);
        var token = volumes.CloneFrom(Private(daemon, "work"));
        await daemon.Store.ApplyAsync(change => change.SetState(Daemon.Name("vault"), VmState.NA), CancellationToken.None);
        await Daemon.RefusedAsync(ErrorCode.MgmtUnavailableError, act(volumes, Private(daemon, "vault"), token));
        Assert.That(daemon.Events("vault"), Is.Empty, name);
    }

    [TestCaseSource(nameof(Operations))]
    public async Task A_full_pool_leaves_record_and_revisions_as_they_were(string name, Func<VolumeOperations, VolumeAddress, string, Task> act)
    {
        await using var daemon = await Daemon.OpenAsync(Failing("""{ "no-space": true }"""));
        var volumes = new VolumeOperations(daemon.Services);
        var before = daemon.Vm("vault");
        await Daemon.RefusedAsync(ErrorCode.MgmtNoSpaceError, act(volumes, Private(daemon, "vault"), volumes.CloneFrom(Private(daemon, "work"))));
        Assert.That(daemon.Vm("vault").Volumes, Is.EqualTo(before.Volumes));
        Assert.That(Told(daemon), Is.Empty, name);
    }

    [TestCaseSource(nameof(Operations))]
    public async Task A_vm_of_the_same_name_that_was_made_later_is_another_one(string name, Func<VolumeOperations, VolumeAddress, string, Task> act)
    {
        await using var daemon = await Daemon.OpenAsync();
        var volumes = new VolumeOperations(daemon.Services);
        var address = Private(daemon, "vault") with { Uuid = Guid.NewGuid() };
        await Daemon.RefusedAsync(ErrorCode.QubesVMNotFoundError, act(volumes, address, volumes.CloneFrom(Private(daemon, "work"))));
        Assert.That(daemon.Events("vault"), Is.Empty, name);
    }

    [Test]
    public async Task A_token_is_used_up_by_a_clone_that_fails()
    {
        await using var daemon = await Daemon.OpenAsync(Failing("""{ "clone": "disk error" }"""));
        var volumes = new VolumeOperations(daemon.Services);
        var token = volumes.CloneFrom(Private(daemon, "work"));
        await Daemon.RefusedAsync(ErrorCode.StoragePoolException, volumes.CloneToAsync(Private(daemon, "vault"), token, 1, CancellationToken.None));
        await Daemon.RefusedAsync(ErrorCode.QubesVolumeCopyTokenNotFoundError, volumes.CloneToAsync(Private(daemon, "vault"), token, 1, CancellationToken.None));
    }

    [Test]
    public async Task The_size_of_a_running_vms_disk_is_recorded_when_its_guest_has_it()
    {
        await using var vm = new FakeVm();
        await using var daemon = await Daemon.OpenAsync(backend: FakeVm.Backend(vm).Object);
        var volumes = new VolumeOperations(daemon.Services);
        await daemon.StartAsync("vault");
        vm.OnResize = (_, _) => throw new MgmtException(ErrorCode.MgmtTimeoutError, "no answer");
        await Daemon.RefusedAsync(ErrorCode.MgmtTimeoutError, volumes.ResizeAsync(Private(daemon, "vault"), 4294967296, false, CancellationToken.None));
        Assert.That(daemon.Vm("vault").Volumes[VolumeName.Private].SizeBytes, Is.EqualTo(2147483648));
        Assert.That(Told(daemon), Is.Empty);
        var asked = new List<(VolumeName, long)>();
        vm.OnResize = (volume, size) =>
        {
            asked.Add((volume, size));
            return Task.CompletedTask;
        };
        await volumes.ResizeAsync(Private(daemon, "vault"), 4294967296, false, CancellationToken.None);
        Assert.That(asked, Is.EqualTo(new[] { (VolumeName.Private, 4294967296) }));
        Assert.That(daemon.Vm("vault").Volumes[VolumeName.Private].SizeBytes, Is.EqualTo(4294967296));
        Assert.That(Told(daemon), Is.EqualTo(new[] { "volume-resize volume=private" }));
    }

    [Test]
    public async Task A_volume_is_not_cloned_to_itself()
    {
        await using var daemon = await Daemon.OpenAsync();
        var volumes = new VolumeOperations(daemon.Services);
        var vault = Private(daemon, "vault");
        await Daemon.RefusedAsync(ErrorCode.StoragePoolException, volumes.CloneToAsync(vault, volumes.CloneFrom(vault), 1, CancellationToken.None));
    }
}
