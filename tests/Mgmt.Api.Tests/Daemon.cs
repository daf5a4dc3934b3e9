using System.Text;
using Mgmt.Core;
using Mgmt.Policy;
using Mgmt.State;
using Mgmt.TestHost;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mgmt.Api.Tests;

/// <summary>Everything of a daemon but its socket, over a host in memory and directories that go away.</summary>
internal sealed class Daemon : IAsyncDisposable
{
    internal static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);
    internal static readonly Caller Root = new(0, 1, CallerRole.Any);

    private readonly string _directory = Directory.CreateTempSubdirectory("mgmt-api-").FullName;

    internal required TestHostDefinition Test { get; init; }
    internal StateStore Store { get; private set; } = null!;
    internal PolicyStore Policy { get; private set; } = null!;
    internal PolicyEditor PolicyFiles { get; private set; } = null!;
    internal PolicyGate Gate { get; private set; } = null!;
    internal PolicyNotices Notices { get; private set; } = null!;
    internal AuditLog Audit { get; private set; } = null!;
    internal PoolSet Pools { get; private set; } = null!;
    internal PropertyTable Properties { get; private set; } = null!;
    internal PropertyWriter Writer { get; private set; } = null!;
    internal LifecycleServices Services { get; private set; } = null!;
    internal VmWatcher Watcher { get; private set; } = null!;
    internal VmStarter Starter { get; private set; } = null!;
    internal VmStopper Stopper { get; private set; } = null!;
    internal UnfinishedVolumes Unfinished { get; private set; } = null!;
    internal VmMaker Maker { get; private set; } = null!;
    internal DisposableVms Disposables { get; private set; } = null!;
    internal DisposablePreloader Preloader { get; private set; } = null!;
    internal long AvailableMiB { get; set; } = 1 << 20;
    internal VmAdopter Adopter { get; private set; } = null!;
    internal EventStreams Streams { get; private set; } = null!;
    internal PendingQuestions Questions { get; private set; } = null!;
    internal FrontEndPolicy FrontEnd { get; private set; } = null!;
    internal ActiveCalls Calls { get; } = new(TimeProvider.System);

    internal GuestChannels Channels { get; } = new();
    internal CallTable Table { get; private set; } = null!;
    internal Dispatcher Dispatcher { get; private set; } = null!;
    internal string AuditPath => Path.Combine(_directory, "audit.log");
    internal string PolicyPath => Path.Combine(_directory, "policy.d");

    internal string RuntimePolicyPath => Path.Combine(_directory, "runtime-policy.d");
    internal string HistoryPath => Path.Combine(_directory, "policy-history");

    internal static async Task<Daemon> OpenAsync(
        string? document = null, string policy = "", TimeProvider? clock = null, IVmBackend? backend = null, IEnumerable<IPoolDriver>? drivers = null,
        string? audit = null, bool auditRequired = false, IEnumerable<ICallGroup>? groups = null, int queueLength = 4096, AskLimits? askLimits = null, params IAskSocket[] askSockets)
    {
        clock ??= TimeProvider.System;
        var test = document is null ? TestHostDefinition.Load("test:///default", clock) : TestHostDefinition.FromDocument("test:///memory", Encoding.UTF8.GetBytes(document), clock);
        var daemon = new Daemon { Test = test };
        await daemon.MakeAsync(policy, clock, backend ?? test.Backend, drivers ?? test.Drivers, audit, auditRequired, groups, queueLength, askLimits ?? new(TimeSpan.FromSeconds(60)), askSockets);
        return daemon;
    }

    private async Task MakeAsync(string policy, TimeProvider clock, IVmBackend backend, IEnumerable<IPoolDriver> drivers, string? audit, bool auditRequired, IEnumerable<ICallGroup>? groups, int queueLength, AskLimits askLimits, IAskSocket[] askSockets)
    {
        Directory.CreateDirectory(PolicyPath);
        await File.WriteAllTextAsync(Path.Combine(PolicyPath, "30-test.policy"), policy);
        Store = await StateStore.OpenAsync(new() { Directory = Path.Combine(_directory, "state"), Seed = () => Test.Seed, TimeProvider = clock }, CancellationToken.None);
        PolicyDirectory[] ruleFiles = [new(RuntimePolicyPath, true), new(PolicyPath, false)];
        var rules = new PolicyOptions { FoldManagementServices = true, BuiltinRule = true };
        Policy = new(ruleFiles, rules, Path.Combine(_directory, "last-good"), TimeProvider.System, NullLogger.Instance);
        PolicyFiles = new(ruleFiles, rules, Policy, HistoryPath, TimeProvider.System);
        var removed = new RemovedVms();
        Gate = new(Policy, Store, removed);
        Notices = new(Store, NullLogger<PolicyNotices>.Instance);
        Audit = new(audit ?? AuditPath, auditRequired, TimeProvider.System, NullLogger<AuditLog>.Instance);
        Pools = new(drivers, NullLogger<PoolSet>.Instance);
        await Pools.OpenAllAsync(Store.Current, CancellationToken.None);
        Properties = new(new HostFacts { MemoryMiB = 4096, Processors = 2, KernelExists = Pools.HasKernel });
        Writer = new(Store, Properties);
        Services = new(Store, backend, Pools, Properties, new(), new(), clock, NullLogger<LifecycleServices>.Instance) { Devices = Test.Devices };
        Watcher = new(Services);
        Starter = new(Services, Watcher);
        Stopper = new(Services, Watcher);
        Unfinished = new(Services);
        Maker = new(Services, removed, Unfinished);
        Disposables = new(Services, Maker, Stopper);
        Preloader = new(Services, Disposables, Maker, Starter, Stopper, () => AvailableMiB);
        Adopter = new(Services, Watcher);
        Streams = new(Store, new(Gate), clock) { QueueLength = queueLength };
        Questions = new(askLimits, askSockets, clock, NullLogger<PendingQuestions>.Instance);
        var remembered = new RememberedAnswers(clock);
        var facts = new DaemonFacts("1.2.3", 1, clock.GetUtcNow(), 16);
        var status = new StatusReport(facts, Store, Policy, backend, Test.Machines, Pools, Audit, Streams, Calls, Questions, clock) { Devices = new(Services) };
        Table = new(groups ?? CallGroups.Make(Services, Maker, new(Services, Unfinished), Starter, Stopper, Properties, Writer, Streams, facts, status, Calls, Channels, PolicyFiles, Questions, Gate, Disposables, Preloader));
        FrontEnd = new(Gate, Store, Table, Questions, remembered, new(Gate, Store, Questions), Notices, Audit, Calls, clock);
        Dispatcher = new(Table, Store, Gate, new CallAsking(Gate, Store, Questions, remembered), Notices, Audit, Calls, TimeProvider.System, NullLogger<Dispatcher>.Instance);
    }

    /// <summary>METHOD[+ARG] SOURCE TARGET, as on the wire but for the kind of the target.</summary>
    internal async Task<CallResult> CallAsync(string header, string payload = "", Caller? caller = null, bool gone = false, IEventSink? sink = null, bool keyword = false, CancellationToken cancellation = default)
    {
        var words = header.Split(' ');
        var plus = words[0].IndexOf('+', StringComparison.Ordinal);
        var request = plus < 0 ? new CallRequest(words[0], "", words[1], keyword, words[2]) : new CallRequest(words[0][..plus], words[0][(plus + 1)..], words[1], keyword, words[2]);
        var session = Dispatcher.Open(request, caller ?? Root);
        return await Dispatcher.RunAsync(session, new(Encoding.UTF8.GetBytes(payload), null, sink, () => gone), cancellation).AsTask().WaitAsync(Deadline, CancellationToken.None);
    }

    /// <summary>The content of a call that has to succeed.</summary>
    internal async Task<string> TextAsync(string header, string payload = "")
    {
        var result = await CallAsync(header, payload);
        Assert.That(result.Error, Is.Null, header);
        return Encoding.UTF8.GetString(result.Content.Span);
    }

    /// <summary>The error code of a call that has to be refused.</summary>
    internal async Task<ErrorCode> RefusalAsync(string header, string payload = "", Caller? caller = null) =>
        (await CallAsync(header, payload, caller)).Error?.Code ?? throw new AssertionException($"{header} was not refused");

    internal static VmName Name(string name) => VmName.Parse(name);

    internal VmRecord Vm(string name) => Store.Current.Get(Name(name));

    internal Task StartAsync(string name) => Starter.StartAsync(Name(name), CancellationToken.None).WaitAsync(Deadline);

    internal Task KillAsync(string name) => Stopper.KillAsync(Name(name), CancellationToken.None).WaitAsync(Deadline);

    internal Task ShutdownAsync(string name, bool wait = true, bool force = false) => Stopper.ShutdownAsync(Name(name), wait, force, CancellationToken.None).WaitAsync(Deadline);

    internal Task SetAsync(string? holder, string property, string value) => Writer.SetAsync(holder is null ? null : Name(holder), property, value);

    internal Task ResetAsync(string? holder, string property) => Writer.ResetAsync(holder is null ? null : Name(holder), property);

    /// <summary>The events of a subject so far: NAME and then KEY=VALUE each; start_guid is not shown.</summary>
    internal List<string> Events(string subject) => [.. Store.Journal.Read(0, 100_000).Select(e => e.Event).Where(e => e.Subject == subject).Select(Show)];

    internal static string Show(MgmtEvent e) => string.Join(' ', e.Pairs.Where(p => p.Key != "start_guid").Select(p => $"{p.Key}={p.Value}").Prepend(e.Name));

    /// <summary>Waits until the state says so.</summary>
    internal async Task UntilAsync(Func<HostState, bool> condition)
    {
        var changed = new SemaphoreSlim(0);
        using var subscription = Store.Journal.Subscribe(_ => changed.Release());
        using var limit = new CancellationTokenSource(Deadline);
        while (!condition(Store.Current))
        {
            await changed.WaitAsync(limit.Token);
        }
    }

    internal static async Task<MgmtException> RefusedAsync(ErrorCode code, Task work)
    {
        try
        {
            await work.WaitAsync(Deadline);
        }
        catch (MgmtException error)
        {
            Assert.That(error.Code, Is.EqualTo(code), error.Message);
            return error;
        }
        throw new AssertionException($"not refused with {code}");
    }

    public async ValueTask DisposeAsync()
    {
        await Notices.DisposeAsync();
        await Test.Backend.DisposeAsync();
        PolicyFiles.Dispose();
        await Policy.DisposeAsync();
        Audit.Dispose();
        var sessions = Services.Sessions.All.ToList();
        foreach (var session in sessions)
        {
            await session.Vm.KillAsync(CancellationToken.None);
        }
        await Task.WhenAll(sessions.Select(s => s.Pump)).WaitAsync(Deadline);
        await Store.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }
}
