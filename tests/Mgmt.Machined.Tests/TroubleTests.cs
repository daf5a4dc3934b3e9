using System.Diagnostics;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Machined.Tests;

/// <summary>The real systemd-machined killed, stopped, and its bus taken away.</summary>
public sealed class TroubleTests
{
    // The deadline is 1 s; the rest is a busy machine's.
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(2);
    private MachinedHost _host;
    private RegistryUnderTest _registry;

    [SetUp]
    public async Task Start()
    {
        _host = await MachinedHost.StartAsync(CancellationToken.None);
        _registry = await RegistryUnderTest.ReadyAsync(_host.BusAddress);
    }

    [TearDown]
    public async Task Stop()
    {
        if (_registry is not null)
        {
            await _registry.DisposeAsync();
        }
        if (_host is not null)
        {
            await _host.DisposeAsync();
        }
    }

    [Test]
    public async Task Without_machined_a_unit_takes_its_place_until_it_is_back()
    {
        using var leader = Leader.Sleep();
        _host.KillMachined();
        await _registry.UntilAsync("absent");
        var scope = await PlaceWithinBoundAsync(leader);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(scope.Kind, Is.EqualTo(MachineScopeKind.Unit), scope.Degraded);
            Assert.That(scope.Degraded, Is.Not.Null);
            Assert.That(leader.ControlGroups, Has.Some.EndsWith(Leader.Scope(scope.Name)));
            Assert.That(await _registry.OwnsAsync(leader), Is.Null);
        }
        await _host.StartMachinedAsync(CancellationToken.None);
        await _registry.UntilAsync("ok");
        scope = await PlaceWithinBoundAsync(leader);
        Assert.That(scope.Kind, Is.EqualTo(MachineScopeKind.Machine), scope.Degraded);
        Assert.That(leader.ControlGroups, Has.Some.EndsWith(Leader.Scope(leader.MachineScope)));
    }

    [Test]
    public async Task Machines_that_end_while_machined_is_away_are_found_gone()
    {
        using var leader = Leader.Sleep();
        await _registry.PlaceAsync(leader);
        Assert.That((await _registry.ChangeAsync(leader)).Added, Is.True);
        _host.KillMachined();
        await _registry.UntilAsync("absent");
        leader.Kill();
        await _host.StartMachinedAsync(CancellationToken.None);
        Assert.That(await _registry.ChangeAsync(leader), Is.EqualTo(new MachineChange(leader.MachineName, false)));
    }

    [Test]
    public async Task A_machined_that_does_not_answer_is_waited_for_no_longer_than_the_deadline()
    {
        using var leader = Leader.Sleep();
        _host.Freeze();
        var scope = await PlaceWithinBoundAsync(leader);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(scope.Kind, Is.EqualTo(MachineScopeKind.Unit), scope.Degraded);
            Assert.That(scope.Degraded, Does.Contain("unknown until asked again"));
            Assert.That(leader.ControlGroups, Has.Some.EndsWith(Leader.Scope(scope.Name)));
            Assert.That(_registry.Registry.Status.State, Is.EqualTo("slow"));
            Assert.That(await _registry.OwnsAsync(leader), Is.Null);
        }
        _host.Thaw();
        await _registry.UntilAsync("ok");
        // The late registration is carried out: the doubt in Degraded is real.
        Assert.That(await _registry.OwnsAsync(leader), Is.True);
    }

    [Test]
    public async Task A_bus_that_is_stuck_is_waited_for_no_longer_than_the_deadline()
    {
        using var leader = Leader.Sleep();
        await _host.FreezeBusAsync(CancellationToken.None);
        var scope = await PlaceWithinBoundAsync(leader);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(scope.Kind, Is.EqualTo(MachineScopeKind.None));
            Assert.That(scope.Degraded, Does.Contain("unknown until asked again").And.Contain("whether it will still make"));
            Assert.That(_registry.Registry.Status.State, Is.EqualTo("slow"));
        }
        _host.ThawBus();
        await _registry.UntilAsync("ok");
        // Whether the bus still carries out what it had in hand is its own affair: the doubt in Degraded is real. What there is now is known.
        Assert.That(await _registry.OwnsAsync(leader), Is.Not.Null);
    }

    [Test]
    public async Task Disposing_does_not_wait_for_a_machined_that_does_not_answer()
    {
        using var leader = Leader.Sleep();
        _host.Freeze();
        var placing = _registry.PlaceAsync(leader);
        var clock = Stopwatch.StartNew();
        await _registry.DisposeAsync();
        Assert.That((await placing).Kind, Is.EqualTo(MachineScopeKind.None));
        Assert.That(clock.Elapsed, Is.LessThan(Bound));
    }

    [Test]
    public async Task A_cancelled_caller_gets_its_cancellation()
    {
        using var leader = Leader.Sleep();
        using var cancel = new CancellationTokenSource();
        _host.Freeze();
        var placing = _registry.Registry.PlaceAsync(leader.Request, cancel.Token);
        await cancel.CancelAsync();
        Assert.That(async () => await placing, Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public async Task A_bus_that_goes_and_comes_back_is_found_again_and_its_machines_listed()
    {
        using var leader = Leader.Sleep();
        await _registry.PlaceAsync(leader);
        Assert.That((await _registry.ChangeAsync(leader)).Added, Is.True);
        await _host.StopAsync(CancellationToken.None);
        await _registry.UntilAsync("absent");
        using var next = Leader.Sleep();
        var scope = await PlaceWithinBoundAsync(next);
        Assert.That(scope, Is.EqualTo(new MachineScope(MachineScopeKind.None, "", scope.Degraded)));
        Assert.That(scope.Degraded, Is.Not.Empty);
        await _host.UpAsync(CancellationToken.None);
        await _registry.UntilAsync("ok");
        Assert.That(await _registry.ChangeAsync(leader), Is.EqualTo(new MachineChange(leader.MachineName, false)));
        scope = await PlaceWithinBoundAsync(next);
        Assert.That(scope.Kind, Is.EqualTo(MachineScopeKind.Machine), scope.Degraded);
        Assert.That(await _registry.ChangeAsync(next), Is.EqualTo(new MachineChange(next.MachineName, true)));
    }

    private async Task<MachineScope> PlaceWithinBoundAsync(Leader leader)
    {
        var clock = Stopwatch.StartNew();
        var scope = await _registry.PlaceAsync(leader);
        TestContext.Out.WriteLine($"{scope} in {clock.Elapsed.TotalMilliseconds:F0} ms");
        Assert.That(clock.Elapsed, Is.LessThan(Bound));
        return scope;
    }
}
