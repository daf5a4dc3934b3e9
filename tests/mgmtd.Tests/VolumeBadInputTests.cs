using System.Text;
using Mgmt.Core;
using Mgmt.Testing;
using Mgmt.Wire;

namespace Mgmt.Daemon.Tests;

/// <summary>What no caller can mean, for each call on volumes that takes it: refused over the socket, and nothing is changed.</summary>
public sealed class VolumeBadInputTests : DaemonFixture
{
    private const string Vault = "appvms/vault/private";
    private static readonly string s_long = new('a', 300);

    /// <summary>Calls by pool, with the rest of their payload.</summary>
    private static readonly (string Call, string After)[] s_byPool =
    [
        ("Info", ""), ("ListSnapshots", ""), ("Snapshot", ""), ("Revert", " 1"), ("Resize", " 4294967296"), ("RemoveSnapshot", " 1"), ("Import", "\ndata"),
    ];

    private static readonly (string Call, string Payload)[] s_byVm =
    [
        ("Info", ""), ("ListSnapshots", ""), ("Snapshot", ""), ("SnapshotInfo", "1"), ("Revert", "1"), ("RemoveSnapshot", "1"), ("Resize", "4294967296"), ("Import", "data"),
        ("ImportWithSize", "512\ndata"), ("Clear", ""), ("CloneFrom", ""), ("CloneTo", "token"), ("Set.revisions_to_keep", "1"), ("Set.rw", "yes"), ("Set.ephemeral", "no"),
    ];

    private static readonly string[] s_sizes =
    [
        "0", "-1", "-512", "511", "513", "9223372036854775808", "9223372036854775807", "18446744073709551616", "0x200", "512 ", " 512", "+512", "5e2", "512\n", "512\0", "٥١٢", "", s_long,
    ];

    /// <summary>Ids that are none, and ids that are another pool's: of a volume, and of a kernel.</summary>
    private static IEnumerable<TestCaseData> Ids() =>
        from call in s_byPool
        from id in new (string Pool, string Vid, ErrorCode Error)[]
        {
            ("default", "../" + Vault, ErrorCode.QubesValueError), ("default", "appvms/../appvms/vault/private", ErrorCode.QubesValueError), ("default", "/" + Vault, ErrorCode.QubesValueError),
            ("default", "appvms//vault/private", ErrorCode.QubesValueError), ("default", Vault + "/", ErrorCode.QubesValueError), ("default", Vault + "\0", ErrorCode.QubesValueError),
            ("default", s_long, call.Call == "Import" ? ErrorCode.ProtocolError : ErrorCode.QubesValueError), ("default", "appvms/vault/private.run", ErrorCode.QubesVolumeNotFoundError),
            ("other", Vault, ErrorCode.QubesVolumeNotFoundError), ("linux-kernel", Vault, ErrorCode.QubesVolumeNotFoundError), ("default", "appvms/inother/private", ErrorCode.QubesVolumeNotFoundError),
            ("nowhere", Vault, ErrorCode.QubesPoolNotFoundError),
        }
        select Case("pool.volume." + call.Call, "dom0", id.Pool, id.Vid + call.After, id.Error);

    /// <summary>Names of volumes that a VM does not have.</summary>
    private static IEnumerable<TestCaseData> Volumes() =>
        from call in s_byVm
        from volume in new (string Name, ErrorCode Error)[] { ("../private", ErrorCode.ProtocolError), ("a/b", ErrorCode.ProtocolError), ("..", ErrorCode.QubesVolumeNotFoundError), (s_long, ErrorCode.QubesVolumeNotFoundError) }
        select Case("vm.volume." + call.Call, "vault", volume.Name, call.Payload, volume.Error);

    private static IEnumerable<TestCaseData> Sizes() => s_sizes.SelectMany(size => (TestCaseData[])
    [
        Case("vm.volume.Resize", "vault", "private", size, size.Length == 0 ? ErrorCode.ProtocolError : ErrorCode.QubesValueError),
        Case("vm.volume.Resize", "vault", "private", size + " force", ErrorCode.QubesValueError),
        Case("pool.volume.Resize", "dom0", "default", $"{Vault} {size}", ErrorCode.QubesValueError),
    ]);

    [OneTimeSetUp]
    public async Task Furnish()
    {
        await Daemon.OkAsync("mgmt.pool.Add", "dom0", "qcow2", "name=other\n");
        await Daemon.OkAsync("mgmt.vm.CreateInPool.AppVM", "dom0", "debian", "name=inother label=red pool:private=other");
        await Daemon.OkAsync("mgmt.vm.volume.Snapshot", "vault", "private");
    }

    [TestCaseSource(nameof(Ids))]
    [TestCaseSource(nameof(Volumes))]
    [TestCaseSource(nameof(Sizes))]
    public async Task What_makes_no_sense_is_refused_and_changes_nothing(string call, string destination, string argument, string payload, ErrorCode error)
    {
        var before = await SeenAsync();
        await Daemon.RefusedAsync(error, "mgmt." + call, destination, argument, payload);
        Assert.That(await SeenAsync(), Is.EqualTo(before));
    }

    [TestCase("0", ErrorCode.QubesValueError)]
    [TestCase("513", ErrorCode.QubesValueError)]
    [TestCase("9223372036854775808", ErrorCode.QubesValueError)]
    [TestCase("-512", ErrorCode.QubesValueError)]
    public async Task An_import_of_no_size_is_refused_before_its_bytes(string size, ErrorCode error)
    {
        var before = await SeenAsync();
        await Daemon.RefusedAsync(error, "mgmt.vm.volume.ImportWithSize", "vault", "private", size + "\n" + new string('x', 513));
        Assert.That(await SeenAsync(), Is.EqualTo(before));
    }

    [Test]
    public async Task One_token_is_one_clone_also_when_two_use_it_at_once()
    {
        await MakeVmAsync("first");
        await MakeVmAsync("second");
        for (var round = 0; round < 10; round++)
        {
            var token = await Daemon.OkAsync("mgmt.vm.volume.CloneFrom", "vault", "private");
            var replies = await Task.WhenAll(((string[])["first", "second", "first", "second"]).Select(vm => Daemon.CallAsync("mgmt.vm.volume.CloneTo", vm, "private", token)));
            Assert.That(replies.Count(reply => reply is Reply.Ok), Is.EqualTo(1));
            Assert.That(replies.OfType<Reply.Failure>().Select(reply => reply.Type), Is.All.EqualTo(nameof(ErrorCode.QubesVolumeCopyTokenNotFoundError)));
        }
    }

    private async Task<string> SeenAsync()
    {
        var seen = new StringBuilder();
        foreach (var vm in new[] { "vault", "inother" })
        {
            seen.Append(await Daemon.OkAsync("mgmt.vm.volume.Info", vm, "private")).Append(await Daemon.OkAsync("mgmt.vm.volume.ListSnapshots", vm, "private"));
        }
        return seen.ToString();
    }

    private static TestCaseData Case(string call, string destination, string argument, string payload, ErrorCode error) => new TestCaseData(call, destination, argument, payload, error)
        .SetArgDisplayNames(call, destination, argument[..Math.Min(20, argument.Length)], Uri.EscapeDataString(payload[..Math.Min(60, payload.Length)]), error.ToString());
}
