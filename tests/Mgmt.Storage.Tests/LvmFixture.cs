using System.IO.Pipelines;
using Mgmt.Core;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mgmt.Storage.Tests;

/// <summary>An lvm_thin pool over <see cref="Lvm2Double"/>.</summary>
public abstract class LvmFixture
{
    protected const long Size = 8 << 20;
    private readonly CancellationTokenSource _deadline = new(TimeSpan.FromSeconds(60));

    internal Lvm2Double Lvm { get; private set; } = null!;

    protected IStoragePool Pool { get; private set; } = null!;

    protected CancellationToken Token => _deadline.Token;

    [SetUp]
    public async Task Open()
    {
        Lvm = new Lvm2Double();
        Pool = await Driver().OpenAsync(Record(), Token);
    }

    [TearDown]
    public async Task Close()
    {
        await Pool.DisposeAsync();
        Lvm.Dispose();
        _deadline.Dispose();
    }

    protected LvmThinDriver Driver() => new(NullLogger<LvmThinDriver>.Instance, TimeProvider.System, Lvm, Lvm.Devices);

    /// <summary>As after a restart of the daemon.</summary>
    protected async Task Reopen()
    {
        await Pool.DisposeAsync();
        Pool = await Driver().OpenAsync(Record(), Token);
    }

    protected static PoolRecord Record(params (string Name, string Value)[] config) => new(
        PoolName.Parse("default"),
        "lvm_thin",
        VmRecord.Empty.Add("volume_group", Lvm2Double.Group).Add("thin_pool", Lvm2Double.ThinPool).SetItems(config.Select(pair => KeyValuePair.Create(pair.Name, pair.Value))));

    protected static VolumeRecord Volume(string vid, bool save = true, string? source = null, int? keep = null) => new()
    {
        Name = VolumeNames.Parse(vid.Split('/')[^1]), Pool = PoolName.Parse("default"), Vid = Vid.Parse(vid), SizeBytes = Size, Writable = true,
        SaveOnStop = save, SnapOnStart = source is not null, Source = source is null ? null : Vid.Parse(source), RevisionsToKeep = keep,
    };

    protected static VolumeRecord Private { get; } = Volume("appvms/work/private");

    /// <summary>A run that writes one byte at the beginning.</summary>
    protected async Task Run(VolumeRecord volume, char what)
    {
        using (var open = await Pool.StartAsync(volume, Token))
        {
            RandomAccess.Write(open.Layers[0].File, [(byte)what], 0);
        }
        await Pool.StopAsync(volume, Token);
    }

    protected async Task<char> Holds(VolumeRecord volume, RevisionId? revision = null)
    {
        using var open = await Pool.ExportAsync(volume, revision, Token);
        return First(open);
    }

    protected static char First(OpenVolume open)
    {
        var bytes = new byte[1];
        RandomAccess.Read(open.Layers[0].File, bytes, 0);
        return (char)bytes[0];
    }

    protected Task Import(VolumeRecord volume, char what, long sizeBytes = Size, long? announced = null)
    {
        var data = new byte[sizeBytes];
        data[0] = (byte)what;
        return Pool.ImportAsync(volume, PipeReader.Create(new MemoryStream(data)), announced ?? sizeBytes, null, Token);
    }

    protected IEnumerable<string> Ids(VolumeRecord volume) => Pool.Revisions(volume).Select(revision => revision.Id.Value);

    protected static async Task<ErrorCode> CodeOf(Func<Task> act) => (await Assert.ThrowsAsync<MgmtException>(act))!.Code;
}
