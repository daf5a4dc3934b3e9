using System.Reflection;
using System.Runtime.InteropServices;
using Mgmt.Api;
using Mgmt.Core;
using Mgmt.Daemon;
using Mgmt.Policy;
using Mgmt.Qrexec;
using Mgmt.State;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

DaemonArguments arguments;
DaemonSettings settings;
var version = typeof(Listener).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;
try
{
    arguments = DaemonArguments.Parse(args);
    if (arguments.ShowHelp || arguments.ShowVersion)
    {
        Console.WriteLine(arguments.ShowHelp ? DaemonArguments.Usage : $"mgmtd {version}");
        return 0;
    }
    if (arguments.GenerateInto is { } directory)
    {
        GeneratedFiles.WriteTo(directory);
        return 0;
    }
    settings = DaemonSettings.Load(arguments);
}
catch (FormatException error)
{
    Console.Error.WriteLine($"mgmtd: {error.Message}");
    return 2;
}

var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { ApplicationName = "mgmtd" });
Logging.Configure(builder.Logging, settings);
using var host = builder.Build();
var logs = host.Services.GetRequiredService<ILoggerFactory>();
var clock = TimeProvider.System;
try
{
    // Before anything is started that could inherit what systemd handed over.
    var descriptors = DescriptorStore.Open(logs.CreateLogger<DescriptorStore>());
    ServerSocket.PrepareDirectory(settings);

    // What the host is: its VMs, its disks, its registry of machines. Found out while the store and the policy are read.
    await using var opening = PlatformOpening.Begin(settings, clock, logs);

    // What must survive, and who may do what.
    await using var store = await StateStore.OpenAsync(new StateStoreOptions
    {
        Directory = settings.StateDirectory, Seed = () => SeedCheck.Run(opening.Seed()), JournalMaxEntries = settings.JournalMaxEvents, JournalMaxAge = settings.JournalMaxAge,
        TimeProvider = clock, Logger = logs.CreateLogger<StateStore>(),
    }, CancellationToken.None);
    PolicyDirectory[] ruleFiles = [.. settings.PolicyDirectories.Select((path, i) => new PolicyDirectory(path, MayBeMissing: i < settings.PolicyDirectories.Count - 1))];
    var rules = new PolicyOptions { FoldManagementServices = true, BuiltinRule = true, DenyWhenBroken = settings.BrokenPolicyDenies };
    await using var policy = new PolicyStore(ruleFiles, rules, Path.Combine(settings.StateDirectory, "policy.last-good"), clock, logs.CreateLogger<PolicyStore>());
    using var policyFiles = new PolicyEditor(ruleFiles, rules, policy, Path.Combine(settings.StateDirectory, "policy-history"), clock);
    using var audit = new AuditLog(Path.Combine(settings.StateDirectory, "audit.log"), settings.AuditRequired, clock, logs.CreateLogger<AuditLog>());
    var removed = new RemovedVms();
    var gate = new PolicyGate(policy, store, removed);
    await using var notices = new PolicyNotices(store, logs.CreateLogger<PolicyNotices>());

    // What it can do.
    var platform = await opening.OpenedAsync();
    await using var pools = new PoolSet(platform.PoolDrivers, logs.CreateLogger<PoolSet>());
    await pools.OpenAllAsync(store.Current, CancellationToken.None);
    var properties = new PropertyTable(HostProbe.Facts(pools));
    var services = new LifecycleServices(store, platform.Backend, pools, properties, new VmGates(), new SessionTable(), clock, logs.CreateLogger<LifecycleServices>()) { Devices = platform.Devices };
    var unfinished = new UnfinishedVolumes(services);
    var watcher = new VmWatcher(services);
    var starter = new VmStarter(services, watcher);
    var maker = new VmMaker(services, removed, unfinished);
    var cleaner = new DisposableCleaner(services, maker);
    var disposables = new DisposableVms(services, maker, new VmStopper(services, watcher));
    var preloader = new DisposablePreloader(services, disposables, maker, starter, new VmStopper(services, watcher), settings.IsTest ? () => long.MaxValue : HostProbe.AvailableMiB);
    var streams = new EventStreams(store, new EventVisibility(gate), clock);
    var calls = new ActiveCalls(clock);
    var channels = new GuestChannels();
    var questions = new PendingQuestions(new AskLimits(settings.AskTimeout), [.. settings.AskAgents.Select(path => new PolicyAgentSocket(path))], clock, logs.CreateLogger<PendingQuestions>());
    var remembered = new RememberedAnswers(clock);
    var owners = new MachineOwners(store, platform.HostMachines);
    var copies = new MachineCopies(platform.HostMachines, owners, new StagingArea(Path.Combine(settings.StateDirectory, "staging")), new CopyLimits(settings.MachineCopyBytes), clock);
    var repair = new MachinedRepair(services, platform.Machines, platform.HostMachines, logs.CreateLogger<MachinedRepair>());
    using var vsock = GuestVsock.Open(settings, clock, logs);
    var facts = new DaemonFacts(version, Environment.ProcessId, clock.GetUtcNow(), settings.MaxConnections);
    var status = new StatusReport(facts, store, policy, platform.Backend, platform.Machines, pools, audit, streams, calls, questions, clock) { Devices = new(services), MachinedFaults = () => repair.Disagreements, Missing = vsock.Missing };
    ICallGroup[] hostCalls = [new MachineCalls(new MachineOperations(store, platform.HostMachines, owners, services.Gates), copies), new ImageCalls(new ImageOperations(store, pools))];
    var table = new CallTable([.. hostCalls, .. CallGroups.Make(services, maker, new VmCloner(services, unfinished), starter, new VmStopper(services, watcher), properties,
        new PropertyWriter(store, properties), streams, facts, status, calls, channels, policyFiles, questions, gate, disposables, preloader)]);
    var dispatcher = new Dispatcher(table, store, gate, new CallAsking(gate, store, questions, remembered), notices, audit, calls, clock, logs.CreateLogger<Dispatcher>());

    // How it is reached.
    await using var sweeper = new HangupSweeper(clock);
    using var socket = ServerSocket.Open(settings, descriptors);
    var handler = new ConnectionHandler(dispatcher, new PeerIdentity(settings), sweeper, settings, logs.CreateLogger<ConnectionHandler>());
    var servicePolicy = new ServicePolicy(gate, store, questions);
    var frontEnd = new FrontEndPolicy(gate, store, table, questions, remembered, servicePolicy, notices, audit, calls, clock);
    using var frontEnds = new FrontEndSockets(settings, frontEnd, sweeper, logs.CreateLogger<FrontEndSocket>());
    using var agents = AgentLinks.Open(settings, clock, logs);
    using var qubesd = new QubesdSockets(settings, handler, logs.CreateLogger<Listener>());
    var guestServices = new GuestServices(services.Sessions, store, starter, properties, agents, clock);
    var hostServices = new HostServices(settings.Services.Host, clock, logs.CreateLogger<HostServices>());
    var serviceCalls = new ServiceCalls(servicePolicy, hostServices, guestServices, disposables, store, settings.Services, calls, audit, notices, clock, logs.CreateLogger<ServiceCalls>());
    var guests = new GuestServer(services.Sessions, store, dispatcher, serviceCalls, guestServices, channels, new(agents, vsock, descriptors), settings, clock, logs);
    var listener = new Listener(socket.Socket, handler, settings.MaxConnections, logs.CreateLogger<Listener>());

    // From here on it serves: first who is connected, then the VMs of an earlier daemon, then those that start with it.
    var lifetime = host.Services.GetRequiredService<IHostApplicationLifetime>();
    using var hangup = PosixSignalRegistration.Create(PosixSignal.SIGHUP, context =>
    {
        context.Cancel = true;
        audit.Reopen();
    });
    await host.StartAsync(CancellationToken.None);
    var announcing = new Announcements(store, policy, platform.Machines, streams, logs.CreateLogger<Announcements>()) { Owners = owners }.RunAsync(lifetime.ApplicationStopping);
    var repairing = repair.RunAsync(lifetime.ApplicationStopping);
    using var ending = new CancellationTokenSource();
    var serving = Task.WhenAll(
        listener.RunAsync(lifetime.ApplicationStopping, ending.Token), qubesd.RunAsync(lifetime.ApplicationStopping, ending.Token), frontEnds.RunAsync(lifetime.ApplicationStopping),
        guests.RunAsync(ending.Token), vsock.RunAsync(ending.Token));
    ServiceManager.Notify("READY=1");
    Log.Serving(logs.CreateLogger("mgmtd"), version, settings.SocketPath, settings.Backend);
    var startup = new Startup(new VmAdopter(services, watcher), unfinished, new PoolMending(services), new Autostarter(services, starter), preloader, starter, platform.StartedAtFirst, store.IsNew, logs.CreateLogger<Startup>());
    var devices = new DeviceFollower(services).RunAsync(lifetime.ApplicationStopping);
    var starting = Task.WhenAll(startup.RunAsync(lifetime.ApplicationStopping), cleaner.RunAsync(lifetime.ApplicationStopping));
    var following = new GuestFollower(services).RunAsync(lifetime.ApplicationStopping);
    await host.WaitForShutdownAsync(CancellationToken.None);

    ServiceManager.Notify("STOPPING=1");
    Log.Stopping(logs.CreateLogger("mgmtd"));
    streams.Shutdown();
    questions.Shutdown();
    await Task.WhenAll(streams.ClosedAsync(TimeSpan.FromSeconds(1)), questions.ClosedAsync(TimeSpan.FromSeconds(1)));
    await ending.CancelAsync();
    await Task.WhenAll(serving, announcing, starting, following, devices, repairing);
    return 0;
}
catch (MgmtException error)
{
    Console.Error.WriteLine($"mgmtd: {error.Message}");
    return 1;
}
