using System.Diagnostics;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Machined.Tests;

/// <summary>Against the real systemd-machined, in health.</summary>
public sealed class PlaceTests
{
    private MachinedHost _host;
    private RegistryUnderTest _registry;

    [OneTimeSetUp]
    public async Task StartHost() => _host = await MachinedHost.StartAsync(CancellationToken.None);

    [OneTimeTearDown]
    public async Task StopHost()
    {
        if (_host is not null)
        {
            await _host.DisposeAsync();
        }
    }

    [SetUp]
    public async Task Connect() => _registry = await RegistryUnderTest.ReadyAsync(_host.BusAddress);

    [TearDown]
    public async Task Disconnect()
    {
        if (_registry is not null)
        {
            await _registry.DisposeAsync();
        }
    }

    [Test]
    public async Task A_placed_process_is_a_machine_of_class_vm_with_its_uuid_and_leader_in_its_own_scope()
    {
        using var leader = Leader.Sleep();
        var scope = await _registry.PlaceAsync(leader);
        var shown = await _host.RunAsync(["machinectl", "show", leader.MachineName], CancellationToken.None);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(scope, Is.EqualTo(new MachineScope(MachineScopeKind.Machine, leader.MachineName, null)));
            Assert.That(shown.Split('\n'), Is.SupersetOf(new[]
            {
                "Class=vm", "Service=mgmtd", $"Id={leader.Request.Uuid:N}", $"Leader={leader.Request.LeaderPid}", $"Unit={leader.MachineScope}",
            }));
            Assert.That(leader.ControlGroups, Has.Some.EndsWith(Leader.Scope(leader.MachineScope)));
            Assert.That(await _registry.OwnsAsync(leader), Is.True);
        }
    }

    [Test]
    public async Task A_real_qemu_is_placed_and_its_end_is_a_change()
    {
        if (!File.Exists("/usr/bin/qemu-system-x86_64"))
        {
            Requirement.Missing("qemu-system-x86_64 is missing");
        }
        using var leader = Leader.Qemu();
        var scope = await _registry.PlaceAsync(leader);
        Assert.That(scope.Kind, Is.EqualTo(MachineScopeKind.Machine), scope.Degraded);
        Assert.That(await _registry.ChangeAsync(leader), Is.EqualTo(new MachineChange(leader.MachineName, true)));
        leader.Kill();
        Assert.That(await _registry.ChangeAsync(leader), Is.EqualTo(new MachineChange(leader.MachineName, false)));
        Assert.That(await _registry.OwnsAsync(leader), Is.False);
    }

    [Test]
    public async Task Machines_that_are_there_already_are_no_change()
    {
        using var leader = Leader.Sleep();
        await _registry.PlaceAsync(leader);
        await using var second = await RegistryUnderTest.ReadyAsync(_host.BusAddress);
        leader.Kill();
        Assert.That(await second.ChangeAsync(leader), Is.EqualTo(new MachineChange(leader.MachineName, false)));
    }

    [Test]
    public async Task Placing_the_same_process_again_finds_it_ours()
    {
        using var leader = Leader.Sleep();
        await _registry.PlaceAsync(leader);
        Assert.That(await _registry.PlaceAsync(leader), Is.EqualTo(new MachineScope(MachineScopeKind.Machine, leader.MachineName, null)));
    }

    [Test]
    public async Task A_name_that_would_end_in_a_hyphen_is_taken_too()
    {
        using var leader = Leader.Sleep("vm_");
        var scope = await _registry.PlaceAsync(leader);
        Assert.That(scope.Kind, Is.EqualTo(MachineScopeKind.Machine), scope.Degraded);
    }

    [Test]
    public async Task A_name_taken_by_another_machine_leads_to_a_unit_and_says_so()
    {
        using var other = Leader.Sleep();
        using var leader = Leader.Sleep();
        var place = leader.Request with { Qid = other.Request.Qid };
        await _registry.PlaceAsync(other);
        var unit = other.MachineName + ".scope";
        for (var again = 0; again < 2; again++)
        {
            var scope = await _registry.Registry.PlaceAsync(place, CancellationToken.None);
            using (Assert.EnterMultipleScope())
            {
                Assert.That(scope.Kind, Is.EqualTo(MachineScopeKind.Unit), scope.Degraded);
                Assert.That(scope.Name, Is.EqualTo(unit));
                Assert.That(scope.Degraded, Does.Contain("taken by another machine"));
                Assert.That(leader.ControlGroups, Has.Some.EndsWith(Leader.Scope(unit)));
                Assert.That(await _registry.OwnsAsync(other), Is.True);
                Assert.That(await _registry.Registry.OwnsAsync(other.MachineName, place.Uuid, place.LeaderPid, CancellationToken.None), Is.False);
            }
        }
    }

    [Test]
    public async Task A_dead_leader_is_placed_nowhere()
    {
        var leader = Leader.Sleep();
        leader.Dispose();
        var scope = await _registry.PlaceAsync(leader);
        Assert.That(scope.Kind, Is.EqualTo(MachineScopeKind.None));
        Assert.That(scope.Degraded, Does.Contain("refused"));
        Assert.That(_registry.Registry.Status.State, Is.EqualTo("ok"));
    }

    [Test]
    public async Task Nobody_owns_an_unknown_machine()
    {
        Assert.That(await _registry.Registry.OwnsAsync("mgmt-1-nobody", Guid.NewGuid(), 5, CancellationToken.None), Is.False);
    }

    [Test]
    public async Task Twenty_at_once_are_all_placed()
    {
        var leaders = Enumerable.Range(0, 20).Select(_ => Leader.Sleep()).ToArray();
        try
        {
            var clock = Stopwatch.StartNew();
            var scopes = await Task.WhenAll(leaders.Select(_registry.PlaceAsync));
            TestContext.Out.WriteLine($"20 placed in {clock.Elapsed.TotalMilliseconds:F0} ms");
            Assert.That(scopes.Select(scope => scope.Kind), Is.All.EqualTo(MachineScopeKind.Machine));
            clock.Restart();
            Assert.That(await _registry.OwnsAsync(leaders[0]), Is.True);
            TestContext.Out.WriteLine($"owned in {clock.Elapsed.TotalMilliseconds:F1} ms");
        }
        finally
        {
            Array.ForEach(leaders, leader => leader.Dispose());
        }
    }

    [Test]
    public void A_leader_that_means_the_caller_or_the_host_is_a_bug([Values(-1, 0, 1)] int pid)
    {
        var request = new MachineRequest(1, VmName.Parse("work"), Guid.NewGuid(), pid);
        Assert.That(() => _registry.Registry.PlaceAsync(request, CancellationToken.None), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }
}
