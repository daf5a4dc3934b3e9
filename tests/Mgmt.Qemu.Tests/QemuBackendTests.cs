using System.Diagnostics;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Qemu.Tests;

/// <summary>The real QEMU, the real guest.</summary>
[Category("integration")]
public sealed class QemuBackendTests
{
    private QemuTestHost _host;
    private CancellationTokenSource _patience;
    private QemuBackend _backend;

    private CancellationToken Patience => _patience.Token;

    [OneTimeSetUp]
    public void Build_the_guest() => GuestFiles.Require();

    [SetUp]
    public async Task Open()
    {
        _patience = new CancellationTokenSource(QemuTestHost.Patience);
        _host = new QemuTestHost();
        _backend = await _host.OpenBackendAsync(Patience);
    }

    [TearDown]
    public async Task Close()
    {
        await _host.DisposeAsync();
        _patience.Dispose();
    }

    [Test]
    public async Task A_guest_boots_answers_pauses_and_shuts_itself_down()
    {
        var watch = Stopwatch.StartNew();
        var launch = _host.NewLaunch("work");
        await using var vm = await _host.LaunchAsync(_backend, launch, Patience);
        TestContext.Out.WriteLine($"launched in {watch.ElapsedMilliseconds} ms");
        Assert.That(vm.InitialState, Is.EqualTo(VmState.Paused));
        Assert.That(vm.Faults, Is.Empty);
        Assert.That(vm.Agent.State, Is.EqualTo(AgentState.Absent));
        await vm.ContinueAsync(Patience);
        await QemuTestHost.AgentReadyAsync(vm, Patience);
        TestContext.Out.WriteLine($"agent ready in {watch.ElapsedMilliseconds} ms");

        var os = await vm.Agent.ExecuteAsync("guest-get-osinfo", null, TimeSpan.FromSeconds(10), Patience);
        Assert.That(os.GetProperty("name").GetString(), Is.EqualTo("Mgmt demo guest"));
        Assert.That(vm.Usage()!.ProcessorTime, Is.GreaterThan(TimeSpan.Zero));
        Assert.That(vm.Usage()!.MemoryKiB, Is.EqualTo(128 * 1024));
        if (Environment.IsPrivilegedProcess)
        {
            var status = await File.ReadAllTextAsync($"/proc/{vm.Run.Pid}/status", Patience);
            Assert.That(status, Does.Contain($"Uid:\t{1_900_000_000 + launch.Qid}").And.Contain("CapBnd:\t0000000000000000").And.Contain("Seccomp:\t2"));
        }

        await vm.PauseAsync(Patience);
        var frozen = (await Assert.ThrowsAsync<MgmtException>(() => vm.Agent.ExecuteAsync("guest-ping", null, TimeSpan.FromMilliseconds(200), Patience)))!;
        Assert.That(frozen.Code, Is.EqualTo(ErrorCode.MgmtTimeoutError));
        await QemuTestHost.SignalAsync<VmSignal.AgentChanged>(vm, s => s.State == AgentState.Lost, Patience);
        await vm.ContinueAsync(Patience);
        await QemuTestHost.AgentReadyAsync(vm, Patience);

        await vm.Agent.SendAsync("guest-shutdown", null, Patience);
        await QemuTestHost.SignalAsync<VmSignal.GuestShutdown>(vm, _ => true, Patience);
        Assert.That(await vm.Exited.WaitAsync(Patience), Is.EqualTo(new VmExit(false, "guest-shutdown")));
        Assert.That(Directory.Exists(vm.Run.Directory), Is.False);
    }

    [Test]
    public async Task An_unknown_command_and_a_refused_one_are_told_apart()
    {
        await using var vm = await ReadyAsync("work");
        var unknown = (await Assert.ThrowsAsync<MgmtException>(() => vm.Agent.ExecuteAsync("guest-no-such", null, TimeSpan.FromSeconds(10), Patience)))!;
        Assert.That(unknown.Code, Is.EqualTo(ErrorCode.MgmtUnsupportedError));
        var refused = (await Assert.ThrowsAsync<MgmtException>(
            () => vm.Agent.ExecuteAsync("guest-exec", """{"path":"/no/such"}""", TimeSpan.FromSeconds(10), Patience)))!;
        Assert.That(refused.Code, Is.EqualTo(ErrorCode.QubesException));
        Assert.That(refused.Fields[1], Does.Contain("/no/such"));
        var silent = (await Assert.ThrowsAsync<MgmtException>(() => vm.Agent.SendAsync("guest-no-such", null, Patience)))!;
        Assert.That(silent.Code, Is.EqualTo(ErrorCode.MgmtUnsupportedError));
        await vm.KillAsync(Patience);
    }

    [Test]
    public async Task The_power_button_ends_the_guest()
    {
        await using var vm = await ReadyAsync("work");
        await vm.PressPowerButtonAsync(Patience);
        Assert.That(await vm.Exited.WaitAsync(Patience), Is.EqualTo(new VmExit(false, "guest-shutdown")));
    }

    [Test]
    public async Task A_guest_that_reboots_stays_the_same_process_and_its_agent_comes_back()
    {
        await using var vm = await ReadyAsync("work");
        await vm.Agent.SendAsync("guest-shutdown", """{"mode":"reboot"}""", Patience);
        await QemuTestHost.SignalAsync<VmSignal.Reset>(vm, _ => true, Patience);
        await QemuTestHost.AgentReadyAsync(vm, Patience);
        await vm.KillAsync(Patience);
        Assert.That(await vm.Exited.WaitAsync(Patience), Is.EqualTo(new VmExit(false, "killed")));
        Assert.That(QemuTestHost.IsAlive(vm.Run), Is.False);
    }

    [Test]
    public async Task A_crash_of_QEMU_is_seen_at_once()
    {
        await using var vm = await _host.LaunchAsync(_backend, _host.NewLaunch("work"), Patience);
        using var process = Process.GetProcessById(vm.Run.Pid);
        var watch = Stopwatch.StartNew();
        process.Kill();
        Assert.That(await vm.Exited.WaitAsync(Patience), Is.EqualTo(new VmExit(true, "signal-9")));
        TestContext.Out.WriteLine($"seen in {watch.ElapsedMilliseconds} ms");
        Assert.That(watch.Elapsed, Is.LessThan(TimeSpan.FromSeconds(1)));
        Assert.That(await QemuTestHost.SignalAsync<VmSignal.Exited>(vm, _ => true, Patience), Is.EqualTo(new VmSignal.Exited(new VmExit(true, "signal-9"))));
        Assert.That(vm.Signals.Completion.IsCompleted);
    }

    [Test]
    public async Task A_stop_from_outside_is_told_and_our_own_is_not()
    {
        await using var vm = await _host.LaunchAsync(_backend, _host.NewLaunch("work"), Patience);
        await vm.ContinueAsync(Patience);
        await vm.PauseAsync(Patience);
        await vm.ContinueAsync(Patience);
        var rescue = Path.Combine(vm.Run.Directory, "rescue");
        await using var outside = await QmpConnection.ConnectAsync(rescue, TimeSpan.FromSeconds(5), TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance, Patience);
        await outside.ExecuteAsync("stop", null, TimeSpan.FromSeconds(5), Patience);
        var first = await QemuTestHost.SignalAsync<VmSignal>(vm, signal => signal is not VmSignal.AgentChanged, Patience);
        Assert.That(first, Is.EqualTo(new VmSignal.Stopped("outside")));
        await outside.ExecuteAsync("cont", null, TimeSpan.FromSeconds(5), Patience);
        await QemuTestHost.SignalAsync<VmSignal.Resumed>(vm, _ => true, Patience);
        await outside.ExecuteAsync("quit", null, TimeSpan.FromSeconds(5), Patience);
        Assert.That(await vm.Exited.WaitAsync(Patience), Is.EqualTo(new VmExit(false, "killed")));
    }

    [Test]
    public async Task A_new_backend_adopts_the_process_and_finds_the_agent_again()
    {
        var launch = _host.NewLaunch("work");
        var first = await _host.LaunchAsync(_backend, launch, Patience);
        await first.ContinueAsync(Patience);
        await QemuTestHost.AgentReadyAsync(first, Patience);
        await first.DisposeAsync();
        await _backend.DisposeAsync();

        var second = await _host.OpenBackendAsync(Patience);
        await second.ReapStraysAsync([first.Run], Patience);
        var watch = Stopwatch.StartNew();
        await using var vm = (await second.AdoptAsync(QemuTestHost.RecordOf(launch), first.Run, Patience))!;
        await QemuTestHost.AgentReadyAsync(vm, Patience);
        TestContext.Out.WriteLine($"adopted, agent ready in {watch.ElapsedMilliseconds} ms");
        Assert.That(vm.Run.Pid, Is.EqualTo(first.Run.Pid));
        Assert.That(vm.InitialState, Is.EqualTo(VmState.Running));
        Assert.That(vm.Faults, Is.Empty);
        Assert.That(vm.Usage()!.MemoryKiB, Is.EqualTo(128 * 1024));
        await vm.KillAsync(Patience);
        Assert.That((await vm.Exited.WaitAsync(Patience)).Reason, Is.EqualTo("killed"));
        Assert.That(await second.AdoptAsync(QemuTestHost.RecordOf(launch), first.Run, Patience), Is.Null);
    }

    [Test]
    public async Task Adoption_goes_through_the_second_socket_when_somebody_holds_the_first()
    {
        var launch = _host.NewLaunch("work");
        _host.Registry.Works = false;
        var first = await _host.LaunchAsync(_backend, launch, Patience);
        Assert.That(first.Faults, Is.EqualTo(new[] { "machined" }));
        var other = QemuTestHost.RecordOf(launch) with { Uuid = Guid.NewGuid() };
        var foreign = (await Assert.ThrowsAsync<MgmtException>(() => _backend.AdoptAsync(other, first.Run, Patience)))!;
        Assert.That(foreign.Code, Is.EqualTo(ErrorCode.MgmtUnavailableError));
        await using var vm = (await _backend.AdoptAsync(QemuTestHost.RecordOf(launch), first.Run, Patience))!;
        Assert.That(vm.InitialState, Is.EqualTo(VmState.Paused));
        Assert.That(vm.Faults, Is.EqualTo(new[] { "machined" }));
        await _backend.KillAsync(first.Run, Patience);
        Assert.That(QemuTestHost.IsAlive(first.Run), Is.False);
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task A_stray_is_killed_and_cleaned_up(bool pidWrittenDown)
    {
        var stray = await _host.LaunchAsync(_backend, _host.NewLaunch("stray"), Patience);
        var known = await _host.LaunchAsync(_backend, _host.NewLaunch("known"), Patience);
        await stray.DisposeAsync();
        if (!pidWrittenDown)
        {
            new RunDirectory(stray.Run.Directory).WriteProcess(stray.Run.StartGuid, null, null);
        }
        await _backend.ReapStraysAsync([known.Run], Patience);
        Assert.That(QemuTestHost.IsAlive(stray.Run), Is.False);
        Assert.That(Directory.Exists(stray.Run.Directory), Is.False);
        Assert.That(QemuTestHost.IsAlive(known.Run));
        await known.KillAsync(Patience);
    }

    [Test]
    public async Task A_launch_that_fails_says_why_and_leaves_nothing()
    {
        var launch = _host.NewLaunch("broken");
        var root = launch.Disks[0];
        // The raw base said to be a qcow2.
        launch = launch with { Disks = [root with { Layers = [root.Layers[1] with { Format = "qcow2" }] }] };
        root.Layers[0].File.Dispose();
        var error = (await Assert.ThrowsAsync<MgmtException>(() => _backend.LaunchAsync(launch, Patience)))!;
        Assert.That(error.Code, Is.EqualTo(ErrorCode.QubesException));
        Assert.That(error.Message, Does.Contain("qcow2"));
        Assert.That(launch.Disks[0].Layers[0].File.IsClosed);
        Assert.That(Directory.EnumerateFileSystemEntries(RunDirectory.Parent(_host.RunDirectory)), Is.Empty);
        Assert.That(QemuProcess.FindByMark(launch.StartGuid), Is.Null);
        await using var again = await _host.LaunchAsync(_backend, _host.NewLaunch("work"), Patience);
        await again.KillAsync(Patience);
    }

    [Test]
    public async Task A_kernel_only_root_may_read_boots_all_the_same()
    {
        var launch = _host.NewLaunch("work");
        var copy = Path.Combine(_host.Disks, "vmlinuz");
        File.Copy(Path.Combine(GuestFiles.KernelDirectory, "vmlinuz"), copy);
        File.SetUnixFileMode(copy, UnixFileMode.UserRead);
        launch.Boot!.Kernel!.Dispose();
        launch = launch with { Boot = launch.Boot with { Kernel = File.OpenHandle(copy) } };
        await using var vm = await _host.LaunchAsync(_backend, launch, Patience);
        await vm.ContinueAsync(Patience);
        await QemuTestHost.AgentReadyAsync(vm, Patience);
        await vm.KillAsync(Patience);
    }

    [Test]
    public void What_the_host_can_do_is_described() => Assert.Multiple(() =>
    {
        Assert.That(_backend.Describe()["qemu-version"], Does.Match(@"^\d+\.\d+"));
        Assert.That(_backend.Describe()["accelerator"], Is.AnyOf("kvm", "tcg"));
        Assert.That(_backend.Describe()["accelerator-reason"], Is.Not.Empty);
    });

    [Test]
    public async Task The_probes_guest_code_runs()
    {
        var options = new QemuOptions { RunDirectory = _host.RunDirectory };
        var probe = new KvmProbe(options, new Privileges(Environment.IsPrivilegedProcess, options.UidBase, null));
        Assert.That((await probe.RunCodeAsync("tcg", "qemu64", Patience))!.ExitCode, Is.EqualTo(99));
    }

    private async Task<IRunningVm> ReadyAsync(string name)
    {
        var vm = await _host.LaunchAsync(_backend, _host.NewLaunch(name), Patience);
        await vm.ContinueAsync(Patience);
        await QemuTestHost.AgentReadyAsync(vm, Patience);
        return vm;
    }
}
