using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>Volumes by their VM and by their pool, on the host in memory.</summary>
public sealed class VolumeTests : DaemonFixture
{
    private const string Small = "4096";

    protected override DaemonOptions Options => new()
    {
        Policy = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["20-test.policy"] = """
                mgmt.pool.volume.Snapshot +default work @adminvm allow
                mgmt.pool.volume.Import +default work @adminvm allow
                mgmt.vm.volume.Snapshot +private work @tag:created-by-work allow target=dom0
                mgmt.vm.volume.Import +private work @tag:created-by-work allow target=dom0

                """,
        },
    };

    private Task<string> VolumeAsync(string call, string vm, string payload = "", string volume = "private", string prefix = "mgmt") =>
        Daemon.OkAsync($"{prefix}.vm.volume.{call}", vm, volume, payload);

    private Task<string> PoolAsync(string call, string payload) => Daemon.OkAsync("mgmt.pool.volume." + call, "dom0", "default", payload);

    private async Task<Dictionary<string, string>> InfoAsync(string vm, string volume = "private") => Lines(await VolumeAsync("Info", vm, "", volume));

    private static Dictionary<string, string> Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries)
        .Select(line => line.Split('=', 2)).ToDictionary(pair => pair[0], pair => pair[1], StringComparer.Ordinal);

    private async Task<List<string>> EventsOfAsync(string vm, Func<Task> work)
    {
        await using var events = await Daemon.EventsAsync($"since=now\nsubject={vm}");
        await work();
        await Daemon.OkAsync("mgmt.vm.tag.Set", vm, "end-of-test");
        var all = await events.UntilAsync(e => e.Name == "domain-tag-add:end-of-test");
        await Daemon.OkAsync("mgmt.vm.tag.Remove", vm, "end-of-test");
        return [.. all.Where(e => e.Name is not ("progress" or "bookmark") && !e.Name.StartsWith("domain-tag", StringComparison.Ordinal))
            .Select(e => string.Join(' ', e.Pairs.Where(p => p.Key != "cursor").Select(p => $"{p.Key}={p.Value}").Prepend(e.Name)))];
    }

    [Test]
    public async Task A_snapshot_is_listed_described_reverted_to_and_removed_by_vm_and_by_pool()
    {
        await MakeVmAsync("snap");
        var told = await EventsOfAsync("snap", async () =>
        {
            Assert.That(await VolumeAsync("Snapshot", "snap", "name=before upgrade\npin=yes\nquiesce=no\n"), Is.EqualTo("1"));
            Assert.That(await PoolAsync("Snapshot", "appvms/snap/private"), Is.EqualTo("2"));
            Assert.That(await VolumeAsync("ListSnapshots", "snap"), Is.EqualTo("1\n2\n"));
            Assert.That(await VolumeAsync("ListSnapshots", "snap", prefix: "admin"), Is.EqualTo("1\n2\n"));
            Assert.That(await PoolAsync("ListSnapshots", "appvms/snap/private"), Is.EqualTo("1\n2\n"));
            var info = Lines(await VolumeAsync("SnapshotInfo", "snap", "1"));
            Assert.That(info.Keys, Is.EqualTo(new[] { "id", "time", "name", "pinned", "cause", "quiesced", "size" }));
            Assert.That(info["name"] + info["pinned"] + info["cause"] + info["quiesced"] + info["size"], Is.EqualTo("before upgradeTruesnapshotyes2147483648"));
            Assert.That(DateTimeOffset.Parse(info["time"], CultureInfo.InvariantCulture), Is.EqualTo(DateTimeOffset.UtcNow).Within(TimeSpan.FromMinutes(5)));
            await VolumeAsync("Revert", "snap", "1");
            await PoolAsync("Revert", "appvms/snap/private 1");
        });
        Assert.That(told, Is.EqualTo(new[]
        {
            "volume-snapshot volume=private revision=1 quiesced=yes", "volume-snapshot volume=private revision=2 quiesced=yes",
            "volume-revert volume=private revision=1", "volume-revert volume=private revision=1",
        }));
        await Daemon.RefusedAsync(ErrorCode.StoragePoolException, "mgmt.vm.volume.RemoveSnapshot", "snap", "private", "1");
        await VolumeAsync("RemoveSnapshot", "snap", "1 force");
        var last = (await VolumeAsync("ListSnapshots", "snap")).TrimEnd('\n');
        await PoolAsync("RemoveSnapshot", $"appvms/snap/private {last}");
        Assert.That(await VolumeAsync("ListSnapshots", "snap"), Is.Empty);
        Assert.That(await PoolAsync("Info", "appvms/snap/private"), Is.EqualTo(await VolumeAsync("Info", "snap")));
        Assert.That(await Daemon.OkAsync("mgmt.pool.volume.List", "dom0", "default"), Does.Contain("appvms/snap/private\n"));
        Assert.That(await Daemon.OkAsync("admin.pool.volume.List", "dom0", "default"), Does.Contain("appvms/snap/private\n"));
    }

    [Test]
    public async Task A_running_vms_disk_grows_and_is_snapshot_but_is_not_replaced()
    {
        await MakeVmAsync("runs");
        await VolumeAsync("Snapshot", "runs");
        await Daemon.OkAsync("mgmt.vm.Start", "runs");
        await VolumeAsync("Resize", "runs", "3221225472");
        Assert.That((await InfoAsync("runs"))["size"], Is.EqualTo("3221225472"));
        var made = await VolumeAsync("Snapshot", "runs", "quiesce=no");
        Assert.That(Lines(await VolumeAsync("SnapshotInfo", "runs", made))["quiesced"], Is.EqualTo("no"));
        foreach (var (call, payload) in new[] { ("Revert", "1"), ("Import", "data"), ("ImportWithSize", "512\ndata"), ("Clear", ""), ("Set.rw", "no"), ("Resize", "512 force") })
        {
            await Daemon.RefusedAsync(ErrorCode.QubesVMNotHaltedError, "mgmt.vm.volume." + call, "runs", "private", payload);
        }
        var token = await VolumeAsync("CloneFrom", "vault");
        await Daemon.RefusedAsync(ErrorCode.QubesVMNotHaltedError, "mgmt.vm.volume.CloneTo", "runs", "private", token);
        await Daemon.OkAsync("mgmt.vm.Kill", "runs");
        await VolumeAsync("Resize", "runs", "1048576 force");
        Assert.That((await InfoAsync("runs"))["size"], Is.EqualTo("1048576"));
    }

    [Test]
    public async Task A_template_that_grows_gives_its_size_to_the_snapshots_of_it()
    {
        await Daemon.OkAsync("mgmt.vm.Create.TemplateVM", "dom0", "", "name=grows label=black");
        await Daemon.OkAsync("mgmt.vm.Create.AppVM", "dom0", "grows", "name=follows label=red");
        await VolumeAsync("Resize", "grows", "21474836480", "root");
        Assert.That((await InfoAsync("follows", "root"))["size"], Is.EqualTo("21474836480"));
        var refused = await Daemon.RefusedAsync(ErrorCode.StoragePoolException, "mgmt.vm.volume.Resize", "follows", "root", "32212254720");
        Assert.That(refused.Message, Is.EqualTo("Cannot resize volume based on a template - resize the template instead"));
    }

    [Test]
    public async Task A_clone_token_copies_once()
    {
        await MakeVmAsync("from");
        await MakeVmAsync("into");
        await VolumeAsync("ImportWithSize", "from", "1024\n" + new string('x', 1024));
        var token = await VolumeAsync("CloneFrom", "from", prefix: "admin");
        Assert.That(token, Does.Match("^[A-Za-z0-9]{32}$"));
        var told = await EventsOfAsync("into", () => VolumeAsync("CloneTo", "into", token));
        Assert.That(told, Is.EqualTo(new[] { "domain-import-volume name=private source=appvms/from/private", "volume-clone volume=private" }));
        var info = await InfoAsync("into");
        Assert.That((info["size"], info["usage"]), Is.EqualTo(("1024", "1024")));
        await Daemon.RefusedAsync(ErrorCode.QubesVolumeCopyTokenNotFoundError, "mgmt.vm.volume.CloneTo", "into", "private", token);
        await Daemon.RefusedAsync(ErrorCode.QubesVolumeCopyTokenNotFoundError, "mgmt.vm.volume.CloneTo", "into", "private", new string('0', 32));
        var gone = await VolumeAsync("CloneFrom", "from");
        await Daemon.OkAsync("mgmt.vm.Remove", "from");
        await MakeVmAsync("from");
        await Daemon.RefusedAsync(ErrorCode.QubesVolumeCopyTokenNotFoundError, "mgmt.vm.volume.CloneTo", "into", "private", gone);
    }

    [Test]
    public async Task An_import_takes_exactly_the_size_and_tells_how_far_it_is()
    {
        await MakeVmAsync("import");
        await VolumeAsync("Resize", "import", Small + " force");
        await using var progress = await Daemon.EventsAsync("since=now\nsubject=import\nevent=progress");
        var told = await EventsOfAsync("import", () => VolumeAsync("Import", "import", new string('x', 4096)));
        Assert.That(told, Is.EqualTo(new[] { "domain-volume-import-begin volume=private size=4096", "domain-volume-import-end volume=private success=True", "volume-import volume=private" }));
        var seen = await progress.UntilAsync(e => e["done"] == e["total"]);
        Assert.That((seen[0]["operation"], seen[0]["done"], seen[0]["total"]), Is.EqualTo(("import", "0", "4096")));
        Assert.That((await InfoAsync("import"))["usage"], Is.EqualTo("4096"));
        foreach (var (bytes, message) in new[] { (4095, "not enough data (copied 4095 bytes, expected 4096 bytes)"), (4097, "too much data (expected 4096 bytes)") })
        {
            told = await EventsOfAsync("import", async () =>
                Assert.That((await Daemon.RefusedAsync(ErrorCode.ProtocolError, "admin.vm.volume.Import", "import", "private", new string('y', bytes))).Message, Is.EqualTo(message)));
            Assert.That(told[^1], Is.EqualTo("domain-volume-import-end volume=private success=False"));
        }
        await PoolAsync("Import", "appvms/import/private\n" + new string('z', 4096));
        await VolumeAsync("ImportWithSize", "import", "512\n" + new string('\n', 512));
        Assert.That((await InfoAsync("import"))["size"], Is.EqualTo("512"));
        await Daemon.RefusedAsync(ErrorCode.ProtocolError, "mgmt.vm.volume.ImportWithSize", "import", "private", "1024\n" + new string('\n', 512));
        Assert.That((await InfoAsync("import"))["size"], Is.EqualTo("512"));
        told = await EventsOfAsync("import", () => VolumeAsync("Clear", "import"));
        Assert.That(told, Is.EqualTo(new[] { "volume-import volume=private" }));
        Assert.That((await InfoAsync("import"))["usage"], Is.EqualTo("0"));
    }

    [Test]
    public async Task A_client_that_goes_away_in_the_middle_changes_nothing()
    {
        await MakeVmAsync("gone");
        await VolumeAsync("Resize", "gone", Small + " force");
        await using var events = await Daemon.EventsAsync("since=now\nsubject=gone\nevent=domain-volume-import-*");
        using (var socket = await Daemon.ConnectAsync())
        {
            await socket.SendAsync(Encoding.ASCII.GetBytes("mgmt.vm.volume.Import+private dom0 name gone\0" + new string('x', 1000)), SocketFlags.None);
            await events.NextAsync("domain-volume-import-begin");
        }
        Assert.That((await events.NextAsync("domain-volume-import-end"))["success"], Is.EqualTo("False"));
        Assert.That((await InfoAsync("gone"))["usage"], Is.EqualTo("0"));
        await Daemon.OkAsync("mgmt.vm.Start", "gone");
    }

    [Test]
    public async Task Settings_are_kept_and_checked()
    {
        await MakeVmAsync("sets");
        await VolumeAsync("Set.revisions_to_keep", "sets", "-1", prefix: "admin");
        await VolumeAsync("Set.rw", "sets", "no");
        await VolumeAsync("Set.ephemeral", "sets", "yes", "volatile");
        var (own, scratch) = (await InfoAsync("sets"), await InfoAsync("sets", "volatile"));
        Assert.That((own["revisions_to_keep"], own["rw"], own["ephemeral"], scratch["ephemeral"]), Is.EqualTo(("-1", "False", "False", "True")));
        Assert.That((await Daemon.RefusedAsync(ErrorCode.StoragePoolException, "mgmt.vm.volume.Resize", "sets", "private", "4294967296")).Message, Is.EqualTo("Can not resize readonly volume"));
        await Daemon.RefusedAsync(ErrorCode.StoragePoolException, "mgmt.vm.volume.Set.ephemeral", "sets", "private", "yes");
        await Daemon.RefusedAsync(ErrorCode.StoragePoolException, "mgmt.vm.volume.Set.rw", "sets", "kernel", "yes");
        await Daemon.RefusedAsync(ErrorCode.QubesValueError, "mgmt.vm.volume.Set.rw", "sets", "private", "perhaps");
        await Daemon.RefusedAsync(ErrorCode.QubesValueError, "mgmt.vm.volume.Set.revisions_to_keep", "sets", "private", "-2");
    }

    private static IEnumerable<TestCaseData> BadInput()
    {
        var long300 = new string('a', 300);
        (string Call, string Destination, string Argument, string Payload, ErrorCode Error)[] cases =
        [
            ("vm.volume.Info", "vault", "../private", "", ErrorCode.ProtocolError),
            ("vm.volume.Snapshot", "vault", long300, "", ErrorCode.QubesVolumeNotFoundError),
            ("vm.volume.Snapshot", "dom0", "private", "", ErrorCode.QubesVolumeNotFoundError),
            ("vm.volume.Snapshot", "vault", "root", "", ErrorCode.StoragePoolException),
            ("vm.volume.Snapshot", "vault", "kernel", "", ErrorCode.StoragePoolException),
            ("vm.volume.Snapshot", "vault", "private", "name=" + long300, ErrorCode.QubesValueError),
            ("vm.volume.Snapshot", "vault", "private", "name=a\0b", ErrorCode.QubesValueError),
            ("vm.volume.Snapshot", "vault", "private", "name=\n", ErrorCode.QubesValueError),
            ("vm.volume.Snapshot", "vault", "private", "pin=maybe", ErrorCode.QubesValueError),
            ("vm.volume.Snapshot", "vault", "private", "pin=yes\npin=yes", ErrorCode.ProtocolError),
            ("vm.volume.Snapshot", "vault", "private", "color=red", ErrorCode.ProtocolError),
            ("vm.volume.Snapshot", "vault", "private", "\n", ErrorCode.ProtocolError),
            ("vm.volume.Revert", "vault", "private", "77", ErrorCode.QubesVolumeRevisionNotFoundError),
            ("vm.volume.Revert", "vault", "private", "../1", ErrorCode.QubesVolumeRevisionNotFoundError),
            ("vm.volume.Revert", "vault", "private", "1\0", ErrorCode.QubesVolumeRevisionNotFoundError),
            ("vm.volume.Revert", "vault", "private", long300, ErrorCode.QubesVolumeRevisionNotFoundError),
            ("vm.volume.RemoveSnapshot", "vault", "private", "77", ErrorCode.QubesVolumeRevisionNotFoundError),
            ("vm.volume.RemoveSnapshot", "vault", "private", "77 Force", ErrorCode.QubesVolumeRevisionNotFoundError),
            ("vm.volume.SnapshotInfo", "vault", "private", "77", ErrorCode.QubesVolumeRevisionNotFoundError),
            ("vm.volume.Resize", "vault", "private", "0", ErrorCode.QubesValueError),
            ("vm.volume.Resize", "vault", "private", "-512", ErrorCode.QubesValueError),
            ("vm.volume.Resize", "vault", "private", "513", ErrorCode.QubesValueError),
            ("vm.volume.Resize", "vault", "private", "9223372036854775808", ErrorCode.QubesValueError),
            ("vm.volume.Resize", "vault", "private", "99999999999999999999", ErrorCode.QubesValueError),
            ("vm.volume.Resize", "vault", "private", "0512", ErrorCode.QubesValueError),
            ("vm.volume.Resize", "vault", "private", "512", ErrorCode.StoragePoolException),
            ("vm.volume.Resize", "vault", "private", "512 FORCE", ErrorCode.QubesValueError),
            ("vm.volume.ImportWithSize", "vault", "private", "513\n", ErrorCode.QubesValueError),
            ("vm.volume.ImportWithSize", "vault", "private", "-512\n", ErrorCode.QubesValueError),
            ("vm.volume.ImportWithSize", "vault", "private", "x\n", ErrorCode.QubesValueError),
            ("vm.volume.ImportWithSize", "vault", "private", "512", ErrorCode.ProtocolError),
            ("vm.volume.ImportWithSize", "vault", "private", "000000000000000000512\n", ErrorCode.ProtocolError),
            ("vm.volume.CloneTo", "vault", "private", "no-token", ErrorCode.QubesVolumeCopyTokenNotFoundError),
            ("vm.volume.CloneFrom", "vault", "kernel", "", ErrorCode.StoragePoolException),
            ("pool.volume.Info", "dom0", "default", "../../etc/passwd", ErrorCode.QubesValueError),
            ("pool.volume.Info", "dom0", "default", "appvms//vault", ErrorCode.QubesValueError),
            ("pool.volume.Info", "dom0", "default", "/appvms/vault/private", ErrorCode.QubesValueError),
            ("pool.volume.Info", "dom0", "default", "appvms/vault/private\0", ErrorCode.QubesValueError),
            ("pool.volume.Info", "dom0", "default", long300, ErrorCode.QubesValueError),
            ("pool.volume.Info", "dom0", "default", "appvms/nobody/private", ErrorCode.QubesVolumeNotFoundError),
            ("pool.volume.Info", "dom0", "linux-kernel", "appvms/vault/private", ErrorCode.QubesVolumeNotFoundError),
            ("pool.volume.Info", "dom0", "linux-kernel", "6.1", ErrorCode.QubesVolumeNotFoundError),
            ("pool.volume.Info", "dom0", "nowhere", "appvms/vault/private", ErrorCode.QubesPoolNotFoundError),
            ("pool.volume.List", "dom0", "nowhere", "", ErrorCode.QubesPoolNotFoundError),
            ("pool.volume.List", "dom0", "../pools", "", ErrorCode.ProtocolError),
            ("pool.volume.Snapshot", "dom0", "linux-kernel", "appvms/vault/private", ErrorCode.QubesVolumeNotFoundError),
            ("pool.volume.Revert", "dom0", "default", "appvms/vault/private", ErrorCode.ProtocolError),
            ("pool.volume.Revert", "dom0", "default", "appvms/vault/private 77", ErrorCode.QubesVolumeRevisionNotFoundError),
            ("pool.volume.Revert", "dom0", "linux-kernel", "appvms/vault/private 1", ErrorCode.QubesVolumeNotFoundError),
            ("pool.volume.Resize", "dom0", "default", "appvms/vault/private 0", ErrorCode.QubesValueError),
            ("pool.volume.Resize", "dom0", "default", "appvms/vault/private", ErrorCode.ProtocolError),
            ("pool.volume.RemoveSnapshot", "dom0", "default", "appvms/vault/private 77 force", ErrorCode.QubesVolumeRevisionNotFoundError),
            ("pool.volume.Import", "dom0", "default", "appvms/nobody/private\ndata", ErrorCode.QubesVolumeNotFoundError),
            ("pool.volume.Import", "dom0", "default", "appvms/vault/private", ErrorCode.ProtocolError),
            ("pool.volume.Import", "dom0", "default", long300 + "\n", ErrorCode.ProtocolError),
            ("pool.volume.Import", "dom0", "default", "../x\n", ErrorCode.QubesValueError),
        ];
        return cases.Select(c => new TestCaseData(c.Call, c.Destination, c.Argument, c.Payload, c.Error)
            .SetArgDisplayNames(c.Call, c.Destination, c.Argument[..Math.Min(20, c.Argument.Length)], Uri.EscapeDataString(c.Payload[..Math.Min(40, c.Payload.Length)]), c.Error.ToString()));
    }

    [TestCaseSource(nameof(BadInput))]
    public async Task Bad_input_is_refused_and_changes_nothing(string call, string destination, string argument, string payload, ErrorCode error)
    {
        var before = (await VolumeAsync("Info", "vault"), await VolumeAsync("ListSnapshots", "vault"));
        await Daemon.RefusedAsync(error, "mgmt." + call, destination, argument, payload);
        Assert.That((await VolumeAsync("Info", "vault"), await VolumeAsync("ListSnapshots", "vault")), Is.EqualTo(before));
    }

    [TestCase("Snapshot", "")]
    [TestCase("Import", "\n")]
    public async Task A_call_by_pool_also_needs_the_right_on_the_vm_and_tells_nobody_else_which_ids_there_are(string call, string after)
    {
        await MakeVmAsync($"owned-{call}");
        await VolumeAsync("Resize", $"owned-{call}", "512 force");
        await Daemon.OkAsync("mgmt.vm.tag.Set", $"owned-{call}", "created-by-work");
        Task<byte[]> Ask(string vid, string data = "") => Daemon.CallRawAsync("mgmt.pool.volume." + call, "dom0", "default", vid + after + data, "work");
        Assert.That((await Ask($"appvms/owned-{call}/private", call == "Import" ? new string('x', 512) : ""))[0], Is.EqualTo((byte)'0'));
        var denied = Encoding.ASCII.GetString(await Ask("appvms/vault/private"));
        Assert.That(denied, Does.Contain("PermissionDenied"));
        foreach (var vid in new[] { "appvms/nobody/private", "appvms/vault/root", $"appvms/owned-{call}/volatile", "../..", "x", "6.1" })
        {
            Assert.That(Encoding.ASCII.GetString(await Ask(vid)), Is.EqualTo(denied), vid);
        }
    }

    [TestCase("vm.volume.Snapshot", "vault", "private", "")]
    [TestCase("vm.volume.RemoveSnapshot", "vault", "private", "1")]
    [TestCase("vm.volume.SnapshotInfo", "vault", "private", "1")]
    [TestCase("pool.volume.Info", "dom0", "default", "appvms/vault/private")]
    [TestCase("pool.Check", "dom0", "default", "")]
    public async Task Calls_that_only_the_draft_or_we_have_are_not_served_as_admin(string call, string destination, string argument, string payload) =>
        await Daemon.RefusedAsync(ErrorCode.ProtocolError, "admin." + call, destination, argument, payload);
}
