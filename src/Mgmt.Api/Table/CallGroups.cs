namespace Mgmt.Api;

/// <summary>All groups of calls.</summary>
public static class CallGroups
{
    /// <summary>The groups over what they work with.</summary>
    public static IEnumerable<ICallGroup> Make(
        LifecycleServices services, VmMaker maker, VmCloner cloner, VmStarter starter, VmStopper stopper, PropertyTable properties, PropertyWriter writer,
        EventStreams streams, DaemonFacts facts, StatusReport status, ActiveCalls calls, GuestChannels channels, PolicyEditor policyFiles, PendingQuestions questions, PolicyGate policy, DisposableVms disposables,
        DisposablePreloader preloader) =>
    [
        new VmCalls(services, preloader), new VmCreateCalls(maker), new VmCloneCalls(cloner), new VmPowerCalls(starter, stopper), new LabelCalls(services.Store), new PropertyCalls(properties, writer, policy),
        new FeatureCalls(services.Store, properties), new TagCalls(services.Store), new VolumeCalls(services), new PoolCalls(services.Pools), new AgentCalls(services),
        new EventsCalls(streams), new DaemonCalls(services, facts, status, calls, channels), new PolicyCalls(policyFiles), new AskCalls(questions, policy),
        .. StorageCalls(services), new ConsoleCalls(services), new BatchCalls(), new QubesServices(services),
        .. Devices(services, writer),
        new FirewallCalls(services.Store), new BackupCalls(), new NoteCalls(services.Store), new SystemInfoCalls(properties), new StatsCalls(services, policy),
        new SleepCalls(new VmSleeper(services, stopper)), new DisposableCalls(disposables, preloader),
    ];

    /// <summary>The table for reading only, as the generator does: its handlers have nothing to work with and are never called.</summary>
    public static CallTable ForReading()
    {
        ICallGroup[] groups =
        [
            new VmCalls(null!, null!), new VmCreateCalls(null!), new VmCloneCalls(null!), new VmPowerCalls(null!, null!), new LabelCalls(null!), new PropertyCalls(null!, null!, null!), new FeatureCalls(null!, null!),
            new TagCalls(null!), new VolumeCalls(null!), new PoolCalls(null!), new AgentCalls(null!), new EventsCalls(null!), new DaemonCalls(null!, null!, null!, null!, null!),
            new PolicyCalls(null!), new AskCalls(null!, null!), new BatchCalls(),
            new MachineCalls(null!, null!), new ImageCalls(null!),
            new PoolChangeCalls(null!), new PoolVolumeCalls(null!, null!), new VolumeChangeCalls(null!), new VolumeContentCalls(null!), new VolumeSnapshotCalls(null!, null!),
            new ConsoleCalls(null!), new QubesServices(null!),
            new DeviceCalls(null!, null!), new DeviceAssignmentCalls(null!, null!), new MicrophoneCalls(null!),
            new FirewallCalls(null!), new BackupCalls(), new NoteCalls(null!), new SystemInfoCalls(null!), new StatsCalls(null!, null!), new SleepCalls(null!), new DisposableCalls(null!, null!),
        ];
        return new CallTable(groups);
    }

    private static IEnumerable<ICallGroup> Devices(LifecycleServices services, PropertyWriter writer)
    {
        var operations = new DeviceOperations(services);
        var assignments = new DeviceAssignments(services);
        return [new DeviceCalls(operations, assignments), new DeviceAssignmentCalls(assignments, writer), new MicrophoneCalls(operations)];
    }

    private static IEnumerable<ICallGroup> StorageCalls(LifecycleServices services)
    {
        var volumes = new VolumeOperations(services);
        return
        [
            new PoolChangeCalls(new PoolOperations(services)), new PoolVolumeCalls(services, volumes), new VolumeChangeCalls(volumes), new VolumeContentCalls(volumes),
            new VolumeSnapshotCalls(services, volumes),
        ];
    }
}
