using System.Text.Json;
using System.Threading.Channels;
using Mgmt.Core;
using Moq;

namespace Mgmt.Api.Tests;

/// <summary>A process whose every step can be held up or made to fail.</summary>
internal sealed class FakeVm : IRunningVm, IGuestAgent
{
    private readonly Channel<VmSignal> _signals = Channel.CreateUnbounded<VmSignal>();
    private readonly TaskCompletionSource<VmExit> _exited = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public VmRun Run { get; set; } = new() { Pid = 5_000_001, StartTicks = 1, BootId = "b", StartGuid = Guid.NewGuid(), StartedAt = DateTimeOffset.UnixEpoch };
    public IReadOnlyCollection<string> Faults { get; set; } = [];
    public VmState InitialState { get; set; } = VmState.Running;
    public IGuestAgent Agent => this;
    public AgentState State { get; set; } = AgentState.Absent;
    public long Session { get; set; } = 1;
    public ChannelReader<VmSignal> Signals => _signals.Reader;
    public Task<VmExit> Exited => _exited.Task;
    public Func<CancellationToken, Task> OnContinue { get; set; } = _ => Task.CompletedTask;
    public Func<CancellationToken, Task> OnPause { get; set; } = _ => Task.CompletedTask;
    public Func<CancellationToken, Task> OnButton { get; set; } = _ => Task.CompletedTask;
    public Func<CancellationToken, Task> OnSend { get; set; } = _ => Task.CompletedTask;
    public Func<CancellationToken, Task>? OnKill { get; set; }
    public int Disposals { get; private set; }

    public void Tell(VmSignal signal) => _signals.Writer.TryWrite(signal);

    public void Exit(bool crashed, string reason = "gone")
    {
        _exited.TrySetResult(new(crashed, reason));
        Tell(new VmSignal.Exited(new(crashed, reason)));
        _signals.Writer.TryComplete();
    }

    /// <summary>Ends without the last signal.</summary>
    public void Vanish()
    {
        _exited.TrySetResult(new(true, "vanished"));
        _signals.Writer.TryComplete();
    }

    public Task ContinueAsync(CancellationToken cancellation) => OnContinue(cancellation);

    public Task PauseAsync(CancellationToken cancellation) => OnPause(cancellation);

    public Task PressPowerButtonAsync(CancellationToken cancellation) => OnButton(cancellation);

    public Task WakeUpAsync(CancellationToken cancellation) => Task.CompletedTask;

    public Func<VolumeName, Task<IDiskCopy>> OnCopy { get; set; } = _ => Task.FromResult<IDiskCopy>(new FakeCopy());
    public Func<VolumeName, long, Task> OnResize { get; set; } = (_, _) => Task.CompletedTask;
    public Func<string, TimeSpan, CancellationToken, Task<JsonElement>> OnAgent { get; set; } = (_, _, _) => throw new InvalidOperationException("not asked");

    public async Task<IDiskCopy> BeginCopyAsync(VolumeName disk, ImageLayer target, Func<Task>? ready, CancellationToken cancellation)
    {
        await (ready?.Invoke() ?? Task.CompletedTask);
        return await OnCopy(disk);
    }

    public Task ResizeDiskAsync(VolumeName disk, long sizeBytes, CancellationToken cancellation) => OnResize(disk, sizeBytes);

    public Func<Task<Stream>> OnConsole { get; set; } = () => throw new InvalidOperationException("not asked");

    public Task<Stream> OpenConsoleAsync(CancellationToken cancellation) => OnConsole();

    public Task KillAsync(CancellationToken cancellation)
    {
        if (OnKill is { } kill)
        {
            return kill(cancellation);
        }
        Exit(false, "killed");
        return Task.CompletedTask;
    }

    public VmUsage? Usage() => null;

    /// <summary>Answers a command with its arguments; where it is set, in the place of the two others.</summary>
    public Func<string, string?, Task<JsonElement>>? OnAsked { get; set; }

    public Task<JsonElement> ExecuteAsync(string command, string? argumentsJson, TimeSpan deadline, CancellationToken cancellation) =>
        OnAsked?.Invoke(command, argumentsJson) ?? OnAgent(command, deadline, cancellation);

    public Task SendAsync(string command, string? argumentsJson, CancellationToken cancellation) => OnAsked?.Invoke(command, argumentsJson) ?? OnSend(cancellation);

    public ValueTask DisposeAsync()
    {
        Disposals++;
        return ValueTask.CompletedTask;
    }

    /// <summary>A backend that launches these, in order.</summary>
    internal static Mock<IVmBackend> Backend(params FakeVm[] vms)
    {
        var queue = new Queue<FakeVm>(vms);
        var backend = new Mock<IVmBackend>();
        backend.Setup(b => b.Uri).Returns("fake:///");
        backend.Setup(b => b.Describe()).Returns(new Dictionary<string, string>());
        backend.Setup(b => b.LaunchAsync(It.IsAny<VmLaunch>(), It.IsAny<CancellationToken>())).Returns((VmLaunch launch, CancellationToken _) =>
        {
            var vm = queue.Dequeue();
            vm.Run = vm.Run with { StartGuid = launch.StartGuid };
            return Task.FromResult<IRunningVm>(vm);
        });
        backend.Setup(b => b.KillAsync(It.IsAny<VmRun>(), It.IsAny<CancellationToken>())).Returns(Task.CompletedTask);
        backend.Setup(b => b.ReapStraysAsync(It.IsAny<IReadOnlyCollection<VmRun>>(), It.IsAny<CancellationToken>())).Returns(Task.CompletedTask);
        return backend;
    }
}
