using System.Globalization;
using System.Text.Json;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Api.Tests.Agent;

public sealed class GuestFollowerTests
{
    private readonly Lock _gate = new();
    private CancellationTokenSource _stop = null!;
    private ManualTime _clock = null!;
    private FakeVm _vm = null!;
    private Daemon _daemon = null!;
    private Task _following = null!;
    private Dictionary<string, string> _answers = null!;
    private List<string> _asked = null!;
    private TimeSpan _drift;

    [SetUp]
    public async Task Open()
    {
        _stop = new CancellationTokenSource();
        _clock = new ManualTime();
        _asked = [];
        _answers = new()
        {
            ["guest-get-osinfo"] = """{"id":"demo"}""", ["guest-get-host-name"] = """{"host-name":"h"}""", ["guest-get-users"] = "[]", ["guest-get-timezone"] = """{"offset":0}""",
            ["guest-network-get-interfaces"] = """[{"name":"lo","ip-addresses":[{"ip-address":"127.0.0.1","ip-address-type":"ipv4","prefix":8}]}]""",
        };
        _drift = TimeSpan.FromMilliseconds(-5);
        _vm = new FakeVm { OnAsked = (command, arguments) => Task.Run(() => Answer(command, arguments)) };
        _daemon = await Daemon.OpenAsync(backend: FakeVm.Backend(_vm).Object, clock: _clock);
        _following = new GuestFollower(_daemon.Services).RunAsync(_stop.Token);
        // Its first round is due at once, and finds nobody.
        _clock.Advance(0);
        await _daemon.StartAsync("vault");
    }

    [TearDown]
    public async Task Close()
    {
        await _stop.CancelAsync();
        await _following.WaitAsync(Daemon.Deadline);
        await _daemon.DisposeAsync();
        await _vm.DisposeAsync();
        _stop.Dispose();
    }

    private JsonElement Answer(string command, string? arguments)
    {
        lock (_gate)
        {
            _asked.Add(command);
            var answer = command switch
            {
                "guest-get-time" => Nanoseconds(_clock.GetUtcNow() + _drift).ToString(CultureInfo.InvariantCulture),
                "guest-set-time" => SetTime(arguments!),
                _ => _answers.GetValueOrDefault(command) ?? throw new MgmtException(ErrorCode.MgmtUnsupportedError, "no"),
            };
            return JsonDocument.Parse(answer).RootElement;
        }
    }

    private string SetTime(string arguments)
    {
        _drift = TimeSpan.FromTicks((JsonDocument.Parse(arguments).RootElement.GetProperty("time").GetInt64() - Nanoseconds(_clock.GetUtcNow())) / 100);
        return "{}";
    }

    private int Asked(string command)
    {
        lock (_gate)
        {
            return _asked.Count(one => one == command);
        }
    }

    private static long Nanoseconds(DateTimeOffset time) => (time - DateTimeOffset.UnixEpoch).Ticks * 100;

    private void Ready()
    {
        _vm.State = AgentState.Ready;
        _vm.Tell(new VmSignal.AgentChanged(AgentState.Ready));
    }

    private async Task<JsonElement> FactsAsync() => JsonDocument.Parse(await _daemon.TextAsync("mgmt.vm.GuestFacts dom0 vault")).RootElement;

    /// <summary>A minute later, or more: a round that is still under way takes the place of the next.</summary>
    private async Task<JsonElement> NextRoundAsync(Func<JsonElement, bool> condition)
    {
        var limit = Environment.TickCount64 + (long)Daemon.Deadline.TotalMilliseconds;
        while (true)
        {
            _clock.Advance((int)GuestFollower.Interval.TotalMilliseconds);
            for (var i = 0; i < 200; i++)
            {
                var facts = (await FactsAsync()).GetProperty("facts");
                if (condition(facts))
                {
                    return facts;
                }
                Assert.That(Environment.TickCount64, Is.LessThan(limit), facts.ToString());
                await Task.Delay(1);
            }
        }
    }

    private async Task<JsonElement> FactsOnceAsync(Func<JsonElement, bool> condition)
    {
        var limit = Environment.TickCount64 + (long)Daemon.Deadline.TotalMilliseconds;
        while (true)
        {
            var facts = (await FactsAsync()).GetProperty("facts");
            if (condition(facts))
            {
                return facts;
            }
            Assert.That(Environment.TickCount64, Is.LessThan(limit), facts.ToString());
            await Task.Delay(1);
        }
    }

    [Test]
    public async Task A_guest_says_what_it_is_when_its_agent_gets_ready_and_that_ages()
    {
        Assert.That((await FactsAsync()).ToString(), Is.EqualTo("""{"agent":"absent","facts":{}}"""));
        Ready();
        var facts = await FactsOnceAsync(f => f.TryGetProperty("timezone", out _));
        Assert.That(facts.EnumerateObject().Select(fact => fact.Name), Is.EqualTo(new[] { "host-name", "interfaces", "os", "time-drift-ms", "timezone", "users" }));
        Assert.That(facts.GetProperty("os").ToString(), Is.EqualTo("""{"age_ms":0,"value":{"id":"demo"}}"""));
        Assert.That(facts.GetProperty("time-drift-ms").GetProperty("value").GetInt32(), Is.EqualTo(-5));
        Assert.That(facts.GetProperty("interfaces").GetProperty("value")[0].GetProperty("ip-addresses")[0].GetProperty("ip-address").GetString(), Is.EqualTo("127.0.0.1"));
        _clock.Advance(1234);
        Assert.That((await FactsAsync()).GetProperty("facts").GetProperty("os").GetProperty("age_ms").GetInt32(), Is.EqualTo(1234));
        Assert.That(Asked("guest-set-time"), Is.Zero);
    }

    [Test]
    public async Task It_is_asked_again_each_minute_and_what_it_cannot_say_any_more_is_gone()
    {
        Ready();
        await FactsOnceAsync(f => f.TryGetProperty("timezone", out _));
        lock (_gate)
        {
            _answers["guest-get-osinfo"] = """{"id":"other"}""";
            _answers.Remove("guest-get-users");
        }
        var facts = await NextRoundAsync(f => f.GetProperty("os").GetProperty("value").GetProperty("id").GetString() == "other" && f.GetProperty("os").GetProperty("age_ms").GetInt32() == 0 && !f.TryGetProperty("users", out _));
        Assert.That(facts.GetProperty("os").GetProperty("age_ms").GetInt32(), Is.Zero);
    }

    [Test]
    public async Task A_guest_that_says_too_much_is_cut_short()
    {
        _answers["guest-network-get-interfaces"] = $"[{string.Join(',', Enumerable.Repeat($$"""{"name":"{{new string('n', 5000)}}"}""", 10_000))}]";
        Ready();
        var facts = await FactsOnceAsync(f => f.TryGetProperty("timezone", out _));
        var interfaces = facts.GetProperty("interfaces").GetProperty("value");
        Assert.That((interfaces.GetArrayLength(), interfaces[0].GetProperty("name").GetString()!.Length), Is.EqualTo((GuestQuestions.MaxItems, GuestQuestions.MaxText)));
    }

    [Test]
    public async Task After_a_pause_its_clock_is_set_once_and_no_other_time()
    {
        Ready();
        await FactsOnceAsync(f => f.TryGetProperty("timezone", out _));
        await _daemon.Stopper.PauseAsync(Daemon.Name("vault"), CancellationToken.None);
        lock (_gate)
        {
            _drift = TimeSpan.FromHours(-1);
        }
        await _daemon.Stopper.UnpauseAsync(Daemon.Name("vault"), CancellationToken.None);
        await FactsOnceAsync(f => f.GetProperty("time-drift-ms").GetProperty("value").GetInt64() == 0);
        Assert.That(Asked("guest-set-time"), Is.EqualTo(1));
        lock (_gate)
        {
            _drift = TimeSpan.FromHours(1);
        }
        await NextRoundAsync(f => f.GetProperty("time-drift-ms").GetProperty("value").GetInt64() == 3_600_000);
        Assert.That(Asked("guest-set-time"), Is.EqualTo(1));
    }

    [Test]
    public async Task A_guest_whose_agent_is_ready_only_later_has_its_clock_set_then()
    {
        await _daemon.Stopper.PauseAsync(Daemon.Name("vault"), CancellationToken.None);
        _drift = TimeSpan.FromHours(-1);
        await _daemon.Stopper.UnpauseAsync(Daemon.Name("vault"), CancellationToken.None);
        Ready();
        await FactsOnceAsync(f => f.TryGetProperty("timezone", out _));
        Assert.That((Asked("guest-set-time"), _drift), Is.EqualTo((1, TimeSpan.Zero)));
    }

    [Test]
    public async Task Facts_end_with_the_process()
    {
        Ready();
        await FactsOnceAsync(f => f.TryGetProperty("timezone", out _));
        await _daemon.KillAsync("vault");
        Assert.That((await FactsAsync()).ToString(), Is.EqualTo("""{"agent":"absent","facts":{}}"""));
    }
}
