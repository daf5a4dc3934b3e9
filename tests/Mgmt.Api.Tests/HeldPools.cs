using System.Collections.Immutable;
using Mgmt.Core;
using Moq;

namespace Mgmt.Api.Tests;

/// <summary>Pools whose volumes can be made to stop late or not at all, and to be created badly.</summary>
internal sealed class HeldPools
{
    internal HeldPools() => Drivers = [PoolDoubles.Driver("qcow2", SetUp), PoolDoubles.Driver("linux-kernel", SetUp)];

    internal ImmutableArray<IPoolDriver> Drivers { get; }
    internal TaskCompletionSource? Hold { get; set; }
    internal TaskCompletionSource Stopping { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    internal Exception? StopError { get; set; }
    internal Func<VolumeRecord, Exception?> CreateError { get; set; } = _ => null;
    internal List<string> Log { get; } = [];

    private void SetUp(Mock<IStoragePool> pool)
    {
        pool.Setup(p => p.StopAsync(It.IsAny<VolumeRecord>(), It.IsAny<CancellationToken>())).Returns(StopAsync);
        pool.Setup(p => p.CreateAsync(It.IsAny<VolumeRecord>(), It.IsAny<CancellationToken>())).Returns((VolumeRecord v, CancellationToken _) => Note("create", v, CreateError(v)));
        pool.Setup(p => p.RemoveAsync(It.IsAny<VolumeRecord>(), It.IsAny<CancellationToken>())).Returns((VolumeRecord v, CancellationToken _) => Note("remove", v, null));
    }

    private Task Note(string what, VolumeRecord volume, Exception? error)
    {
        Log.Add($"{what} {volume.Vid?.Value}");
        return error is null ? Task.CompletedTask : Task.FromException(error);
    }

    private async Task StopAsync()
    {
        Stopping.TrySetResult();
        if (Hold is { } hold)
        {
            await hold.Task;
        }
        if (StopError is { } error)
        {
            throw error;
        }
    }
}
