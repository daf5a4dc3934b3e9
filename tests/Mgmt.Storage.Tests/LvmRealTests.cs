using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using Mgmt.Core;
using Mgmt.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mgmt.Storage.Tests;

/// <summary>
/// The real lvm2 on a real volume group in a loop device, told to leave device-mapper alone (--driverloaded n): it then reads and changes its metadata, and cannot make
/// thin volumes, for which a metadata text stands in. Shows that lvm2 takes our arguments, that we read its reports, and that the tags are as lvm2 wants them.
/// </summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class LvmRealTests
{
    private static readonly ImmutableArray<string> NoDriver = ["--driverloaded", "n"];
    private readonly CancellationTokenSource _deadline = new(TimeSpan.FromSeconds(60));
    private readonly string _directory = Directory.CreateTempSubdirectory("mgmt-lvm2-").FullName;
    private readonly string _group = $"mgmt-{Guid.NewGuid():N}"[..20];
    private string? _loop;

    private CancellationToken Token => _deadline.Token;

    [SetUp]
    public async Task Make()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            Requirement.Missing("a volume group needs root");
        }
        foreach (var program in (string[])["losetup", "vgcreate", "vgcfgrestore", "lvs"])
        {
            Requirement.Program(program);
        }
        Directory.CreateDirectory(Path.Combine(_directory, "mapper"));
        File.WriteAllText(Path.Combine(_directory, "mapper", "control"), "");
        var disk = Path.Combine(_directory, "disk");
        using (var file = File.Create(disk))
        {
            file.SetLength(64 << 20);
        }
        _loop = (await ShellAsync("losetup", "--find", "--show", disk)).Trim();
        await ShellAsync("vgcreate", [.. NoDriver, "--yes", _group, _loop]);
        var (empty, full) = (Path.Combine(_directory, "empty"), Path.Combine(_directory, "full"));
        await ShellAsync("vgcfgbackup", [.. NoDriver, "--file", empty, _group]);
        var text = await File.ReadAllTextAsync(empty, Token);
        File.WriteAllText(full, text[..text.LastIndexOf('}')] + Volumes() + "}\n");
        await ShellAsync("vgcfgrestore", [.. NoDriver, "--yes", "--force", "--file", full, _group]);
    }

    [TearDown]
    public async Task Remove()
    {
        if (_loop is not null)
        {
            try
            {
                await ShellAsync("vgremove", [.. NoDriver, "--yes", "--force", "--force", _group]);
            }
            finally
            {
                await ShellAsync("losetup", "--detach", _loop);
            }
        }
        Directory.Delete(_directory, recursive: true);
        _deadline.Dispose();
    }

    [Test]
    public async Task An_interrupted_stop_is_finished_by_the_real_commands()
    {
        await using var pool = await OpenAsync();
        Assert.That(pool.Volumes.Select(vid => vid.Value), Is.EqualTo(new[] { "appvms/other/private", "appvms/work/private" }));
        Assert.That(pool.Usage, Is.EqualTo(new PoolUsage(16 << 20, 0) { MetadataSizeBytes = 4 << 20 }));
        var revision = pool.Revisions(Volume("appvms/work/private")).Single();
        Assert.That((revision.Id.Value, revision.SizeBytes, revision.Traits), Is.EqualTo(("1", 8L << 20, RevisionTraits.Of(RevisionCause.Stop))));
        var names = (await ShellAsync("lvs", [.. NoDriver, "--noheadings", "--options", "lv_name", _group])).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        Assert.That(names, Is.EquivalentTo(new[] { "pool00", "appvms+other+private", "appvms+work+private", "appvms+work+private-rev1" }));
    }

    [Test]
    public async Task Sizes_change_by_whole_extents()
    {
        await using var pool = await OpenAsync();
        var volume = Volume("appvms/other/private");
        await pool.ResizeAsync(volume, (8 << 20) + 512, false, Token);
        Assert.That(await SizeAsync(), Is.EqualTo(12 << 20));
        await pool.ResizeAsync(volume, (8 << 20) + 1024, false, Token);
        await pool.ResizeAsync(volume, 4 << 20, false, Token);
        Assert.That(await SizeAsync(), Is.EqualTo(4 << 20));
        var findings = await pool.CheckAsync([volume with { SizeBytes = 8 << 20 }, Volume("appvms/work/private")], new HashSet<Vid>(), true, Token);
        Assert.That(findings.Select(finding => (finding.Kind, finding.What)), Is.EqualTo(new[] { ("size", "appvms/other/private") }));
    }

    [Test]
    public async Task What_lvm2_refuses_is_an_error_and_what_lvs_says_then_counts()
    {
        await using var pool = await OpenAsync();
        var error = await Assert.ThrowsAsync<MgmtException>(() => pool.CreateAsync(Volume("appvms/new/private"), Token));
        Assert.That((error!.Code, error.Message), Is.EqualTo((ErrorCode.StoragePoolException, "lvcreate failed; the daemon's log says why")), "no thin volumes without device-mapper");
        // This one says no after it has removed the volume: what lvs says then is what counts.
        error = await Assert.ThrowsAsync<MgmtException>(() => pool.RemoveRevisionAsync(Volume("appvms/work/private"), RevisionId.Parse("1"), false, Token));
        Assert.That(error!.Message, Is.EqualTo("lvremove failed; the daemon's log says why"));
        var names = await ShellAsync("lvs", [.. NoDriver, "--noheadings", "--options", "lv_name", _group]);
        Assert.That(pool.Revisions(Volume("appvms/work/private")).Length, Is.EqualTo(names.Contains("-rev1", StringComparison.Ordinal) ? 1 : 0));
        Assert.That(pool.Volumes, Has.Length.EqualTo(2));
    }

    private Task<IStoragePool> OpenAsync() => new LvmThinDriver(NullLogger<LvmThinDriver>.Instance, TimeProvider.System, new HostCommands(NoDriver), _directory).OpenAsync(
        new PoolRecord(PoolName.Parse("thin"), "lvm_thin", VmRecord.Empty.Add("volume_group", _group).Add("thin_pool", "pool00")), Token);

    private async Task<long> SizeAsync() => long.Parse(
        await ShellAsync("lvs", [.. NoDriver, "--noheadings", "--units", "b", "--nosuffix", "--options", "lv_size", $"{_group}/appvms+other+private"]), CultureInfo.InvariantCulture);

    private static VolumeRecord Volume(string vid) => new()
    {
        Name = VolumeName.Private, Pool = PoolName.Parse("thin"), Vid = Vid.Parse(vid), SizeBytes = 8 << 20, Writable = true, SaveOnStop = true, SnapOnStart = false,
    };

    /// <summary>A thin pool and three thin volumes; the daemon died while one of two replaced the other.</summary>
    private static string Volumes()
    {
        static string Lv(int number, string name, string status, string rest, int extents, string tags = "") => $$"""

                {{name}} {
                    id = "Aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa{{number:00}}"
                    status = [{{status}}]
                    flags = []
                    tags = [{{tags}}]
                    segment_count = 1
                    segment1 {
                        start_extent = 0
                        extent_count = {{extents}}
                        {{rest}}
                    }
                }
            """;
        static string Linear(int at) => $"type = \"striped\"\nstripe_count = 1\nstripes = [ \"pv0\", {at} ]";
        static string Thin(int device) => $"type = \"thin\"\nthin_pool = \"pool00\"\ntransaction_id = {device - 1}\ndevice_id = {device}";
        const string Visible = "\"READ\", \"WRITE\", \"VISIBLE\"", Hidden = "\"READ\", \"WRITE\"";
        const string Pool = "type = \"thin-pool\"\nmetadata = \"pool00_tmeta\"\npool = \"pool00_tdata\"\ntransaction_id = 3\nchunk_size = 128\ndiscards = \"passdown\"\nzero_new_blocks = 1";
        return "\nlogical_volumes {"
            + Lv(1, "pool00", Visible, Pool, 4) + Lv(2, "lvol0_pmspare", Hidden, Linear(0), 1) + Lv(3, "pool00_tmeta", Hidden, Linear(5), 1) + Lv(4, "pool00_tdata", Hidden, Linear(1), 4)
            + Lv(5, "appvms+work+private", Visible, Thin(1), 2, "\"mgmt\"") + Lv(6, "appvms+work+private-snap", Visible, Thin(2), 2, "\"mgmt\", \"mgmt:commit=stop\"")
            + Lv(7, "appvms+other+private", Visible, Thin(3), 2, "\"mgmt\"") + "\n}\n";
    }

    private async Task<string> ShellAsync(string program, params string[] arguments)
    {
        var result = await new HostCommands().RunAsync(program, [.. arguments], TimeSpan.FromSeconds(30), Token);
        return result.Status == 0 ? result.Output : throw new IOException($"{program}: {result.Errors}");
    }
}
