using System.ComponentModel;
using System.Runtime.InteropServices;
using Mgmt.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Qemu;

/// <summary>Makes the process of one VM; every step pushes its undo, and a failure runs them backwards.</summary>
internal sealed class QemuLauncher(QemuOptions options, QemuHost host, Privileges privileges, IMachineRegistry registry, TimeProvider time, ILogger log)
{
    private const int OutputBytes = 64 * 1024;
    private const int OutputTailBytes = 512;

    /// <summary>Launches with the virtual processors stopped. ERRORS: as IVmBackend.LaunchAsync.</summary>
    public async Task<QemuVmParts> LaunchAsync(VmLaunch launch, CancellationToken cancellation)
    {
        var undo = new Stack<Func<Task>>();
        var output = Descriptors.BoundedLog(OutputBytes);
        using var keys = new KeyFiles();
        using var vsock = options.Vsock ? TryOpenVsock(launch) : null;
        try
        {
            var plan = QemuCommandLine.Build(launch, host, options with { Vsock = vsock is not null });
            var directory = MakeDirectory(launch, undo);
            if (vsock is not null)
            {
                directory.WriteVsockCid(options.VsockCid(launch.Qid));
            }
            var process = Start(launch, plan, directory, keys, vsock, output, undo, out var pid, out var startTicks);
            // Both at once: each takes milliseconds, and neither needs the other.
            var placing = registry.PlaceAsync(new MachineRequest(launch.Qid, launch.Name, launch.Uuid, pid), cancellation);
            QmpConnection monitor;
            MachineScope scope;
            try
            {
                monitor = await QmpConnection.ConnectAsync(directory.MonitorSocket, options.LaunchTimeout, time, log, cancellation);
                undo.Push(async () => await monitor.DisposeAsync());
                await MonitorAccess.StateAsync(monitor, options.CommandTimeout, cancellation);
                await ForgetKeysAsync(monitor, plan, cancellation);
            }
            finally
            {
                scope = await placing;
            }
            Log.Launched(log, launch.Name.Value, pid);
            var run = Describe(launch, directory, scope, pid, startTicks);
            return new QemuVmParts(launch.Name.Value, run, [.. Faults(scope), .. VsockFaults(options, directory)], VmState.Paused, launch.MemoryMiB * 1024L, Adopted: false, process, directory, monitor, output);
        }
        catch (Exception e)
        {
            await UndoAsync(undo);
            var said = Descriptors.Tail(output, OutputTailBytes);
            output.Dispose();
            Log.LaunchFailed(log, launch.Name.Value, said, e);
            throw Explain(e, said);
        }
    }

    /// <summary>The marks a placement leaves on a VM.</summary>
    public static IReadOnlyCollection<string> Faults(MachineScope scope) => scope.Kind == MachineScopeKind.Machine && scope.Degraded is null ? [] : ["machined"];

    /// <summary>The mark of a VM that should have vsock and has not.</summary>
    public static IReadOnlyCollection<string> VsockFaults(QemuOptions options, RunDirectory directory) => options.Vsock && directory.VsockCid is null ? ["vsock"] : [];

    /// <summary>Null: there is none, and the VM does without.</summary>
    private SafeFileHandle? TryOpenVsock(VmLaunch launch)
    {
        try
        {
            return File.OpenHandle(options.VsockDevice, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            Log.NoVsock(log, launch.Name.Value, error.Message);
            return null;
        }
    }

    // It answers, so the disks are open: QEMU does not need the passphrases any more, not even to resize.
    private async Task ForgetKeysAsync(QmpConnection monitor, QemuPlan plan, CancellationToken cancellation)
    {
        foreach (var key in plan.Keys)
        {
            await monitor.ExecuteAsync("object-del", $$"""{"id":"{{key}}"}""", options.CommandTimeout, cancellation);
        }
    }

    private VmRun Describe(VmLaunch launch, RunDirectory directory, MachineScope scope, int pid, ulong startTicks) => new()
    {
        Pid = pid,
        StartTicks = startTicks,
        BootId = ProcessStat.BootId,
        StartGuid = launch.StartGuid,
        StartedAt = time.GetUtcNow(),
        Directory = directory.Path,
        Machine = scope.Name,
    };

    private RunDirectory MakeDirectory(VmLaunch launch, Stack<Func<Task>> undo)
    {
        var directory = RunDirectory.Of(options.RunDirectory, launch.Qid, launch.Name);
        if (directory.Exists)
        {
            // A directory of a process that lives is not ours to take: ReapStraysAsync or an adoption comes first.
            if (directory.ReadProcess() is { Pid: { } pid, StartTicks: { } ticks } recorded && QemuProcess.TryOpen(pid, ticks, recorded.BootId) is { } alive)
            {
                alive.Dispose();
                throw new MgmtException(ErrorCode.MgmtUnavailableError, "a process of an earlier start of %s still runs", launch.Name.Value);
            }
            directory.Remove();
        }
        directory.Create();
        undo.Push(() =>
        {
            directory.Remove();
            return Task.CompletedTask;
        });
        directory.WriteProcess(launch.StartGuid, null, null);
        return directory;
    }

    private PidFd Start(
        VmLaunch launch, QemuPlan plan, RunDirectory directory, KeyFiles keys, SafeFileHandle? vsock, SafeFileHandle output, Stack<Func<Task>> undo, out int pid, out ulong startTicks)
    {
        var made = new List<SafeFileHandle>();
        try
        {
            // The monitor's end of the sockets must be closed here, so that a QEMU that dies is seen as the end of the stream.
            var nothing = File.OpenHandle("/dev/null", FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            made.Add(nothing);
            List<(SafeHandle, int)> descriptors = [(nothing, 0), (output, 1), (output, 2)];
            foreach (var file in plan.Files)
            {
                descriptors.Add((file.Kind == InheritedKind.Vsock ? vsock! : Resolve(file, directory, keys, made), file.Number));
            }
            pid = Spawn.Start([.. privileges.Prefix(launch.Qid), .. plan.Arguments], descriptors);
        }
        finally
        {
            made.ForEach(handle => handle.Dispose());
        }
        // It is our child and nobody has reaped it: the pid is its own until we wait for it.
        var process = PidFd.TryOpen(pid) ?? throw new MgmtException(ErrorCode.MgmtUnavailableError, "QEMU ended at once");
        undo.Push(() => EndAsync(process));
        startTicks = ProcessStat.TryRead(pid)?.StartTicks ?? throw new MgmtException(ErrorCode.MgmtUnavailableError, "QEMU ended at once");
        directory.WriteProcess(launch.StartGuid, pid, startTicks);
        return process;
    }

    private SafeFileHandle Resolve(InheritedFile file, RunDirectory directory, KeyFiles keys, List<SafeFileHandle> made)
    {
        SafeFileHandle Made(SafeFileHandle handle)
        {
            made.Add(handle);
            return handle;
        }
        return file.Kind switch
        {
            InheritedKind.Monitor => Made(Descriptors.Listen(directory.MonitorSocket)),
            InheritedKind.Rescue => Made(Descriptors.Listen(directory.RescueSocket)),
            InheritedKind.Agent => Made(Descriptors.Listen(directory.AgentSocket)),
            InheritedKind.GuestPort => Made(Descriptors.Listen(directory.GuestPortSocket(file.Port))),
            InheritedKind.GuestAgentPort => Made(Descriptors.Listen(directory.GuestAgentSocket(file.Port))),
            InheritedKind.Key => keys.Add(file.Key!),
            InheritedKind.ReadOnlyImage when !Descriptors.IsReadOnly(file.File!) => Made(Descriptors.ReopenReadOnly(file.File!)),
            // QEMU opens these by path, as its own uid: a file that only we may read goes over as a copy in memory.
            InheritedKind.Boot when privileges.Drop && !IsReadableByAll(file.File!) => Made(Descriptors.CopyToMemory(file.File!, "vm-boot")),
            _ => file.File!,
        };
    }

    private static bool IsReadableByAll(SafeFileHandle file) => File.GetUnixFileMode(file).HasFlag(UnixFileMode.OtherRead);

    // A stopped guest has nothing to lose.
    private async Task EndAsync(PidFd process)
    {
        using (process)
        {
            process.Kill();
            await ProcessEnd.WaitAsync(process, options.KillTimeout, time);
            process.TakeStatus();
        }
    }

    private async Task UndoAsync(Stack<Func<Task>> undo)
    {
        while (undo.TryPop(out var step))
        {
            try
            {
                await step();
            }
            catch (Exception e)
            {
                Log.FollowFailed(log, "(undo of a start)", e);
            }
        }
    }

    private static Exception Explain(Exception error, string said) => error switch
    {
        _ when said.Contains("cannot set up guest memory", StringComparison.Ordinal) || said.Contains("Cannot allocate memory", StringComparison.Ordinal) =>
            new MgmtException(error, ErrorCode.QubesMemoryError, "not enough memory to start the VM"),
        MgmtException { Code: ErrorCode.MgmtUnavailableError or ErrorCode.QubesException } when said.Length > 0 =>
            new MgmtException(error, ErrorCode.QubesException, "QEMU did not start: %s", said),
        MgmtException or OperationCanceledException => error,
        Win32Exception or IOException or UnauthorizedAccessException => new MgmtException(error, ErrorCode.MgmtUnavailableError, "cannot make the VM's process: %s", error.Message),
        _ => error,
    };
}
