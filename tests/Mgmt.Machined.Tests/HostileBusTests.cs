using System.Diagnostics;
using System.Net.Sockets;
using Mgmt.Core;

namespace Mgmt.Machined.Tests;

/// <summary>Buses that are none: no root needed.</summary>
public sealed class HostileBusTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(2);
    private string _directory;
    private Socket _listener;
    private RegistryUnderTest _registry;

    [SetUp]
    public void Listen()
    {
        _directory = Directory.CreateTempSubdirectory("mgmt-bus-").FullName;
        _listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        _listener.Bind(new UnixDomainSocketEndPoint(Path.Combine(_directory, "bus")));
        _listener.Listen();
        _registry = new RegistryUnderTest($"unix:path={_directory}/bus");
    }

    [TearDown]
    public async Task Close()
    {
        await _registry.DisposeAsync();
        _listener.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    [Test]
    public async Task A_bus_that_says_nothing_holds_nobody_up()
    {
        using var leader = Leader.Sleep();
        var scope = await PlaceWithinBoundAsync(leader);
        Assert.That(scope.Kind, Is.EqualTo(MachineScopeKind.None));
        Assert.That(await _registry.OwnsAsync(leader), Is.Null);
        var busy = Environment.CpuUsage.TotalTime;
        await _registry.UntilLoggedAsync("says nothing");
        Assert.That(Environment.CpuUsage.TotalTime - busy, Is.LessThan(TimeSpan.FromSeconds(0.5)), "waiting costs no processor");
        Assert.That(_registry.Registry.Status.State, Is.EqualTo("absent"));
        var clock = Stopwatch.StartNew();
        await _registry.DisposeAsync();
        Assert.That(clock.Elapsed, Is.LessThan(Bound));
    }

    [Test]
    public async Task A_bus_that_hangs_up_or_talks_rubbish_is_absent([Values("", "REJECTED\r\n", "OK 1234\r\nOK\r\n", "\0\0\0\0\0\0")] string answer)
    {
        using var leader = Leader.Sleep();
        var placing = PlaceWithinBoundAsync(leader);
        using (var peer = await _listener.AcceptAsync())
        {
            await peer.SendAsync(System.Text.Encoding.ASCII.GetBytes(answer));
        }
        Assert.That((await placing).Kind, Is.EqualTo(MachineScopeKind.None));
        Assert.That(_registry.Registry.Status.State, Is.EqualTo("absent"));
    }

    [TestCase("unix:path=/nonexistent/bus")]
    [TestCase("no address")]
    [TestCase("")]
    public async Task Without_a_bus_a_process_is_placed_nowhere_at_once(string address)
    {
        await using var registry = new RegistryUnderTest(address);
        using var leader = Leader.Sleep();
        var clock = Stopwatch.StartNew();
        var scope = await registry.PlaceAsync(leader);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(clock.Elapsed, Is.LessThan(Bound));
            Assert.That(scope.Kind, Is.EqualTo(MachineScopeKind.None));
            Assert.That(scope.Degraded, Does.Contain("the bus cannot be reached"));
            Assert.That(registry.Registry.Status.State, Is.EqualTo("absent"));
            Assert.That(await registry.OwnsAsync(leader), Is.Null);
        }
    }

    [Test]
    public async Task Switched_off_it_opens_nothing()
    {
        await using var registry = new RegistryUnderTest($"unix:path={_directory}/bus", enabled: false);
        using var leader = Leader.Sleep();
        registry.Registry.Start();
        var scope = await registry.PlaceAsync(leader);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(scope.Kind, Is.EqualTo(MachineScopeKind.None));
            Assert.That(scope.Degraded, Does.Contain("switched off"));
            Assert.That(registry.Registry.Status.State, Is.EqualTo("off"));
            Assert.That(await registry.OwnsAsync(leader), Is.Null);
            Assert.That(_listener.Poll(TimeSpan.Zero, SelectMode.SelectRead), Is.False);
        }
    }

    [Test]
    public async Task A_registry_that_was_never_started_ends_its_changes_when_disposed()
    {
        await _registry.DisposeAsync();
        Assert.That(await _registry.Registry.Changes.WaitToReadAsync(CancellationToken.None), Is.False);
        using var leader = Leader.Sleep();
        Assert.That((await _registry.PlaceAsync(leader)).Kind, Is.EqualTo(MachineScopeKind.None));
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
