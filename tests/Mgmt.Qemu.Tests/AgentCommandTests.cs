using System.Text;
using Mgmt.Core;
using Mgmt.Testing;
using static Mgmt.Core.AgentCommands;

namespace Mgmt.Qemu.Tests;

/// <summary>Every command of the table, asked of Debian's qemu-ga in the small guest. One boot serves them all, in this order.</summary>
[Category("integration")]
[NonParallelizable]
public sealed class AgentCommandTests
{
    private static readonly Dictionary<string, Func<IRunningVm, CancellationToken, Task>> Trials = new()
    {
        ["guest-sync-delimited"] = async (vm, token) => Assert.That(await vm.Agent.RunAsync(SyncDelimited, new(77), token), Is.EqualTo(77)),
        ["guest-sync"] = async (vm, token) => Assert.That(await vm.Agent.RunAsync(Sync, new(78), token), Is.EqualTo(78)),
        ["guest-ping"] = async (vm, token) => Assert.That(await vm.Agent.RunAsync(Ping, token), Is.EqualTo(new GuestNothing())),
        ["guest-info"] = InfoAsync,
        ["guest-get-time"] = async (vm, token) => Assert.That(await vm.Agent.RunAsync(Time, token), Is.GreaterThan(1_600_000_000_000_000_000)),
        ["guest-set-time"] = SetTimeAsync,
        ["guest-shutdown"] = (vm, token) => RefusedAsync(ErrorCode.QubesException, () => vm.Agent.SendAsync("guest-shutdown", """{"mode":"sideways"}""", token)),
        ["guest-suspend-disk"] = (vm, token) => RefusedAsync(ErrorCode.QubesException, () => vm.Agent.RunAsync(SuspendDisk, token)),
        ["guest-suspend-hybrid"] = (vm, token) => RefusedAsync(ErrorCode.QubesException, () => vm.Agent.RunAsync(SuspendHybrid, token)),
        ["guest-get-osinfo"] = async (vm, token) => Assert.That(await vm.Agent.RunAsync(OsInfo, token), Has.Property("Id").EqualTo("mgmt-demo").And.Property("Machine").EqualTo("x86_64")),
        ["guest-get-host-name"] = async (vm, token) => Assert.That((await vm.Agent.RunAsync(HostName, token)).HostName, Is.EqualTo("mgmt-demo")),
        ["guest-get-timezone"] = async (vm, token) => Assert.That((await vm.Agent.RunAsync(Timezone, token)).Offset, Is.Zero),
        ["guest-get-users"] = async (vm, token) => Assert.That(await vm.Agent.RunAsync(Users, token), Is.Empty),
        ["guest-get-devices"] = (vm, token) => RefusedAsync(ErrorCode.MgmtUnsupportedError, () => vm.Agent.RunAsync(Devices, token)),
        ["guest-file-open"] = FilesAsync,
        ["guest-exec"] = ProgramsAsync,
        ["guest-fsfreeze-status"] = FreezeAsync,
        ["guest-fstrim"] = async (vm, token) => Assert.That((await vm.Agent.RunAsync(Fstrim, new(), token)).Paths, Has.Some.Property("Path").EqualTo("/")),
        ["guest-get-fsinfo"] = async (vm, token) => Assert.That(await vm.Agent.RunAsync(FsInfo, token), Has.Some.Property("Mountpoint").EqualTo("/").And.Some.Property("Type").EqualTo("ext4")),
        ["guest-get-disks"] = async (vm, token) => Assert.That(await vm.Agent.RunAsync(Disks, token), Has.Some.Property("Name").EqualTo("/dev/vda")),
        ["guest-get-diskstats"] = async (vm, token) => Assert.That((await vm.Agent.RunAsync(DiskStats, token)).Single(disk => disk.Name == "vda").Stats.ReadIos, Is.Positive),
        ["guest-network-get-interfaces"] = async (vm, token) => Assert.That(await vm.Agent.RunAsync(NetworkInterfaces, token), Has.Some.Property("Name").EqualTo("lo")),
        ["guest-get-vcpus"] = async (vm, token) => Assert.That(await vm.Agent.RunAsync(Vcpus, token), Is.EqualTo(new[] { new GuestLogicalProcessor(0, true, false) })),
        ["guest-set-vcpus"] = async (vm, token) => Assert.That(await vm.Agent.RunAsync(SetVcpus, new([new(0, true)]), token), Is.EqualTo(1)),
        ["guest-get-cpustats"] = async (vm, token) => Assert.That((await vm.Agent.RunAsync(CpuStats, token)).Single(), Has.Property("Type").EqualTo("linux").And.Property("Cpu").EqualTo(0)),
        ["guest-get-memory-blocks"] = MemoryAsync,
        ["guest-set-user-password"] = PasswordAsync,
        ["guest-ssh-get-authorized-keys"] = KeysAsync,
        // After this it does not answer any more.
        ["guest-suspend-ram"] = SuspendAsync,
    };

    // Tried together with the first of their kind.
    private static readonly string[] TriedToo =
    [
        "guest-file-close", "guest-file-read", "guest-file-write", "guest-file-seek", "guest-file-flush", "guest-exec-status", "guest-fsfreeze-freeze", "guest-fsfreeze-freeze-list",
        "guest-fsfreeze-thaw", "guest-set-memory-blocks", "guest-get-memory-block-info", "guest-ssh-add-authorized-keys", "guest-ssh-remove-authorized-keys",
    ];

    private QemuTestHost _host;
    private IRunningVm _vm;
    private CancellationTokenSource _patience;

    private static IEnumerable<string> Tried => Trials.Keys;

    [OneTimeSetUp]
    public async Task Boot()
    {
        GuestFiles.Require();
        using var patience = new CancellationTokenSource(QemuTestHost.Patience);
        _host = new QemuTestHost();
        _vm = await _host.LaunchAsync(await _host.OpenBackendAsync(patience.Token), _host.NewLaunch("asked"), patience.Token);
        await _vm.ContinueAsync(patience.Token);
        await QemuTestHost.AgentReadyAsync(_vm, patience.Token);
    }

    [OneTimeTearDown]
    public async Task End() => await _host.DisposeAsync();

    [SetUp]
    public void Begin() => _patience = new CancellationTokenSource(QemuTestHost.Patience);

    [TearDown]
    public void Done() => _patience.Dispose();

    [Test]
    public void Every_command_of_the_table_is_tried() =>
        Assert.That(All.Select(command => command.Name), Is.EquivalentTo(Trials.Keys.Concat(TriedToo)));

    [TestCaseSource(nameof(Tried))]
    public async Task The_real_agent_answers_in_the_shape_of_the_reference(string command) => await Trials[command](_vm, _patience.Token);

    private static async Task InfoAsync(IRunningVm vm, CancellationToken token)
    {
        var info = await vm.Agent.RunAsync(Info, token);
        // What Debian's agent can do is what the table knows, and which commands do not answer.
        Assert.That(info.SupportedCommands.Select(command => command.Name), Is.EquivalentTo(All.Select(command => command.Name)));
        Assert.That(info.SupportedCommands.Where(command => command.SuccessResponse == false).Select(command => command.Name), Is.EquivalentTo(All.Where(command => !command.Answers).Select(command => command.Name)));
    }

    private static async Task SetTimeAsync(IRunningVm vm, CancellationToken token)
    {
        const long Wanted = 1_700_000_000_000_000_000;
        await vm.Agent.RunAsync(SetTime, new(Wanted), token);
        Assert.That(await vm.Agent.RunAsync(Time, token), Is.InRange(Wanted, Wanted + 60_000_000_000));
        await vm.Agent.RunAsync(SetTime, new(DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() * 1_000_000), token);
    }

    private static async Task SuspendAsync(IRunningVm vm, CancellationToken token)
    {
        await vm.Agent.RunAsync(SuspendRam, token);
        await QemuTestHost.SignalAsync<VmSignal.SuspendedByGuest>(vm, _ => true, token);
    }

    private static async Task FilesAsync(IRunningVm vm, CancellationToken token)
    {
        var handle = await vm.Agent.RunAsync(FileOpen, new("/tmp/tried", "w+"), token);
        Assert.That(await vm.Agent.RunAsync(FileWrite, new(handle, "hello\0there"u8.ToArray()), token), Is.EqualTo(new GuestFileWrite(11, false)));
        await vm.Agent.RunAsync(FileFlush, new(handle), token);
        Assert.That(await vm.Agent.RunAsync(FileSeek, new(handle, 6, GuestFileWhence.Set), token), Is.EqualTo(new GuestFileSeek(6, false)));
        var read = await vm.Agent.RunAsync(FileRead, new(handle, 100), token);
        Assert.That((Encoding.ASCII.GetString(read.Bytes.Span), read.Count, read.Eof), Is.EqualTo(("there", 5L, true)));
        await vm.Agent.RunAsync(FileClose, new(handle), token);
        await RefusedAsync(ErrorCode.QubesException, () => vm.Agent.RunAsync(FileRead, new(handle), token));
    }

    private static async Task ProgramsAsync(IRunningVm vm, CancellationToken token)
    {
        var end = await RunAsync(vm, new("/bin/sh", ["-c", "cat; echo $WORD; echo bad >&2; exit 3"], ["WORD=said", "PATH=/bin"], "typed\n"u8.ToArray(), true), token);
        Assert.That((Encoding.ASCII.GetString(end.OutData!.Value.Span), Encoding.ASCII.GetString(end.ErrData!.Value.Span), end.Exitcode, end.Signal), Is.EqualTo(("typed\nsaid\n", "bad\n", 3L, (long?)null)));
        var killed = await RunAsync(vm, new("/bin/sh", ["-c", "kill -9 $$"]), token);
        Assert.That((killed.Exitcode, killed.Signal), Is.EqualTo(((long?)null, 9L)));
        await RefusedAsync(ErrorCode.QubesException, () => vm.Agent.RunAsync(Exec, new("/no/such"), token));
    }

    private static async Task FreezeAsync(IRunningVm vm, CancellationToken token)
    {
        Assert.That(await vm.Agent.RunAsync(FsfreezeStatus, token), Is.EqualTo("thawed"));
        Assert.That(await vm.Agent.RunAsync(FsfreezeFreeze, token), Is.EqualTo(1));
        Assert.That(await vm.Agent.RunAsync(FsfreezeStatus, token), Is.EqualTo("frozen"));
        Assert.That(await vm.Agent.RunAsync(FsfreezeThaw, token), Is.EqualTo(1));
        Assert.That(await vm.Agent.RunAsync(FsfreezeFreezeList, new(["/"]), token), Is.EqualTo(1));
        Assert.That(await vm.Agent.RunAsync(FsfreezeThaw, token), Is.EqualTo(1));
        Assert.That(await vm.Agent.RunAsync(FsfreezeFreezeList, new(["/nowhere"]), token), Is.Zero);
        Assert.That(await vm.Agent.RunAsync(FsfreezeThaw, token), Is.Zero);
    }

    private static async Task MemoryAsync(IRunningVm vm, CancellationToken token)
    {
        var blocks = await vm.Agent.RunAsync(MemoryBlocks, token);
        Assert.That(blocks, Is.Not.Empty.And.All.Property("Online").True);
        Assert.That((await vm.Agent.RunAsync(MemoryBlockInfo, token)).Size, Is.EqualTo(128 << 20));
        var answer = await vm.Agent.RunAsync(SetMemoryBlocks, new([new(blocks[0].PhysIndex, true), new(4711, true)]), token);
        Assert.That(answer.Select(one => one.Response), Is.EqualTo(new[] { "success", "not-found" }));
    }

    private static async Task PasswordAsync(IRunningVm vm, CancellationToken token)
    {
        await vm.Agent.RunAsync(SetUserPassword, new("user", "sésame"u8.ToArray(), false), token);
        Assert.That(await vm.ShellAsync("cat /run/chpasswd", token), Is.EqualTo("user:sésame\n"));
    }

    private static async Task KeysAsync(IRunningVm vm, CancellationToken token)
    {
        await vm.Agent.RunAsync(SshAddAuthorizedKeys, new("user", ["ssh-ed25519 AAAA one", "ssh-ed25519 BBBB two"], true), token);
        await vm.Agent.RunAsync(SshRemoveAuthorizedKeys, new("user", ["ssh-ed25519 AAAA one"]), token);
        Assert.That((await vm.Agent.RunAsync(SshAuthorizedKeys, new("user"), token)).Keys, Is.EqualTo(new[] { "ssh-ed25519 BBBB two" }));
    }

    private static async Task<GuestExecStatus> RunAsync(IRunningVm vm, GuestExecArguments program, CancellationToken token)
    {
        var pid = (await vm.Agent.RunAsync(Exec, program, token)).Pid;
        while (true)
        {
            var status = await vm.Agent.RunAsync(ExecStatus, new(pid), token);
            if (status.Exited)
            {
                return status;
            }
            await Task.Delay(20, token);
        }
    }

    private static async Task RefusedAsync(ErrorCode code, Func<Task> act) => Assert.That((await Assert.ThrowsAsync<MgmtException>(() => act()))!.Code, Is.EqualTo(code));
}
