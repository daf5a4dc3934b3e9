using System.Text;
using Mgmt.Wire.Tests;

namespace Mgmt.Cli.Tests;

/// <summary>volume, pool and clone, with a daemon that answers what the test says.</summary>
[CancelAfter(20_000)]
public sealed class VolumeVerbTests
{
    [TestCase("volume revert work:root 3", "mgmt.vm.volume.Revert+root dom0 name work\03")]
    [TestCase("volume resize work:root 1048576", "mgmt.vm.volume.Resize+root dom0 name work\01048576")]
    [TestCase("volume resize work:root 1.5GiB --force", "mgmt.vm.volume.Resize+root dom0 name work\01610612736 force")]
    [TestCase("volume clear work:root", "mgmt.vm.volume.Clear+root dom0 name work\0")]
    [TestCase("volume rm-snapshot work:root 3", "mgmt.vm.volume.RemoveSnapshot+root dom0 name work\03")]
    [TestCase("volume rm-snapshot --force work:root 3", "mgmt.vm.volume.RemoveSnapshot+root dom0 name work\03 force")]
    [TestCase("volume set work:root revisions_to_keep -1", "mgmt.vm.volume.Set.revisions_to_keep+root dom0 name work\0-1")]
    [TestCase("volume set work:root rw no", "mgmt.vm.volume.Set.rw+root dom0 name work\0False")]
    [TestCase("volume set work:volatile ephemeral yes", "mgmt.vm.volume.Set.ephemeral+volatile dom0 name work\0True")]
    [TestCase("pool add fast qcow2", "mgmt.pool.Add+qcow2 dom0 name dom0\0name=fast\n")]
    [TestCase("pool add fast file-reflink dir_path=/a=b revisions_to_keep=2", "mgmt.pool.Add+file-reflink dom0 name dom0\0name=fast\ndir_path=/a=b\nrevisions_to_keep=2\n")]
    [TestCase("pool rm fast", "mgmt.pool.Remove+fast dom0 name dom0\0")]
    [TestCase("pool set fast revisions_to_keep 4", "mgmt.pool.Set.revisions_to_keep+fast dom0 name dom0\04")]
    [TestCase("pool set fast ephemeral_volatile TRUE", "mgmt.pool.Set.ephemeral_volatile+fast dom0 name dom0\0True")]
    [TestCase("clone work new", "mgmt.vm.Clone+ dom0 name work\0name=new")]
    [TestCase("clone work new --pool fast", "mgmt.vm.CloneInPool+ dom0 name work\0name=new pool=fast")]
    [TestCase("clone work new --pool-of root=a --pool-of private=b", "mgmt.vm.CloneInPool+ dom0 name work\0name=new pool:root=a pool:private=b")]
    public async Task A_change_is_this_call_and_says_nothing(string args, string request, CancellationToken token)
    {
        var (code, ctl, requests) = await Ctl.AgainstAsync("0\0", token, args.Split(' '));
        Assert.That((code, ctl.Out, ctl.Error, requests.Single()), Is.EqualTo((0, "", "", request)));
    }

    [TestCase("volume snapshot work:root", "")]
    [TestCase("volume snapshot work:root --name before --pin --quiesce try", "name=before\npin=yes\nquiesce=try\n")]
    [TestCase("volume snapshot work:root --quiesce no", "quiesce=no\n")]
    public async Task A_snapshot_is_one_call_and_its_id_is_written(string args, string payload, CancellationToken token)
    {
        var (code, ctl, requests) = await Ctl.AgainstAsync("0\012", token, args.Split(' '));
        Assert.That((code, ctl.Out, ctl.Error, requests.Single()), Is.EqualTo((0, "12\n", "", "mgmt.vm.volume.Snapshot+root dom0 name work\0" + payload)));
    }

    [TestCase("volume snapshot work:root --json", "12", "{\"id\":\"12\"}\n")]
    [TestCase("volume snapshot-info work:root 3", "time=5\nsize=1024\n", "time\t5\nsize\t1024\n")]
    [TestCase("volume snapshot-info work:root 3 --json", "size=1024\n", "{\"size\":\"1024\"}\n")]
    [TestCase("pool usage p", "data_size=2048\ndata_usage=5\n", "data_size\t2048\ndata_usage\t5\n")]
    [TestCase("pool check p", "", "")]
    [TestCase("pool check p", "leftover .tmp a mended=yes it was mended=no more\n", "p\tleftover\t.tmp a\tyes\tit was mended=no more\n")]
    public async Task An_answer_is_written(string args, string answer, string text, CancellationToken token)
    {
        var (code, ctl, _) = await Ctl.AgainstAsync("0\0" + answer, token, args.Split(' '));
        Assert.That((code, ctl.Out, ctl.Error), Is.EqualTo((0, text, "")));
    }

    [TestCase("volume resize work:root 10GiX", "is no size")]
    [TestCase("volume resize work:root 0.3B", "not a whole number")]
    [TestCase("volume resize work 1", "VM:VOLUME")]
    [TestCase("volume info :root", "VM:VOLUME")]
    [TestCase("volume revert work:root:x 1", "VM:VOLUME")]
    [TestCase("volume snapshot work:root --quiesce maybe", "maybe")]
    [TestCase("volume set work:root revisions_to_keep -2", "-1 or more")]
    [TestCase("volume set work:root rw perhaps", "yes or no")]
    [TestCase("volume set work:root size 5", "size")]
    [TestCase("pool add fast qcow2 dir_path", "KEY=VALUE")]
    [TestCase("pool add fast qcow2 =x", "KEY=VALUE")]
    [TestCase("clone work new --pool a --pool-of root=b", "together")]
    [TestCase("clone work new --pool-of root", "VOLUME=POOL")]
    public async Task What_makes_no_sense_is_not_sent(string args, string reason, CancellationToken token)
    {
        var (code, ctl, requests) = await Ctl.AgainstAsync("0\0", token, args.Split(' '));
        Assert.That((code, ctl.Out, requests.Count), Is.EqualTo((2, "", 0)));
        Assert.That(ctl.Error, Does.Contain(reason).And.Contain("--help"));
    }

    [TestCase("volume clone work:root spare:root")]
    [TestCase("volume revert work:root 3")]
    [TestCase("pool check p --mend")]
    [TestCase("clone work new")]
    public async Task A_refusal_is_a_line_and_an_exit_code(string args, CancellationToken token)
    {
        foreach (var (answer, code) in new[] { ("2\0PermissionDenied\0\0Denied\0", 126), ("2\0StoragePoolException\0\0no %s\0luck\0", 1) })
        {
            var (actual, ctl, _) = await Ctl.AgainstAsync(answer, token, args.Split(' '));
            Assert.That((actual, ctl.Error), Is.EqualTo((code, code == 126 ? "mgmtctl: Denied\n" : "mgmtctl: no luck\n")));
        }
    }

    [Test]
    public async Task A_clone_of_a_volume_takes_the_token_of_one_to_the_other(CancellationToken token)
    {
        var (code, ctl, requests) = await Ctl.AgainstAsync(request => request.Contains("CloneFrom", StringComparison.Ordinal) ? "0\0t0k3n" : "0\0", token, "volume", "clone", "work:root", "spare:private");
        Assert.That((code, ctl.Out, ctl.Error), Is.EqualTo((0, "", "")));
        Assert.That(requests, Is.EqualTo(new[] { "mgmt.vm.volume.CloneFrom+root dom0 name work\0", "mgmt.vm.volume.CloneTo+private dom0 name spare\0t0k3n" }));
    }

    [Test]
    public async Task Each_snapshot_is_removed_and_each_refusal_is_named(CancellationToken token)
    {
        var (code, ctl, requests) = await Ctl.AgainstAsync(request => request.EndsWith("\04", StringComparison.Ordinal) ? "2\0StoragePoolException\0\0pinned\0" : "0\0", token, "volume", "rm-snapshot", "work:root", "3", "4", "5");
        Assert.That((code, ctl.Error, requests.Count), Is.EqualTo((1, "mgmtctl: 4: pinned\n", 3)));
    }

    [Test]
    public async Task Snapshots_are_a_table_of_their_facts(CancellationToken token)
    {
        static string Answer(string request) => request.Contains("ListSnapshots", StringComparison.Ordinal) ? "0\03\n7\n" : "0\0time=5\nname=n\npinned=True\ncause=snapshot\nquiesced=yes\nsize=1610612736\n";
        var (code, ctl, requests) = await Ctl.AgainstAsync(Answer, token, "volume", "snapshots", "work:root");
        Assert.That((code, ctl.Out), Is.EqualTo((0, "3\t5\tn\tTrue\tsnapshot\tyes\t1610612736\n7\t5\tn\tTrue\tsnapshot\tyes\t1610612736\n")));
        Assert.That(requests, Is.EqualTo(new[]
        {
            "mgmt.vm.volume.ListSnapshots+root dom0 name work\0", "mgmt.vm.volume.SnapshotInfo+root dom0 name work\03", "mgmt.vm.volume.SnapshotInfo+root dom0 name work\07",
        }));
        await using var daemon = ScriptedDaemon.Answering(ScriptedDaemon.NewPath(), request => Encoding.Latin1.GetBytes(Answer(request)));
        var person = new Ctl(daemon.Path) { OutIsTerminal = true };
        await person.RunAsync(token, "volume", "snapshots", "work:root");
        Assert.That(person.Out, Does.Contain("1.5 GiB").And.Contain("QUIESCED"));
        var json = new Ctl(daemon.Path);
        await json.RunAsync(token, "volume", "snapshots", "work:root", "--json");
        Assert.That(json.Out, Does.StartWith("[{\"id\":\"3\",").And.Contain("\"size\":1610612736"));
    }

    [Test]
    public async Task Volumes_of_a_pool_are_asked_for_by_their_vid(CancellationToken token)
    {
        var (code, ctl, requests) = await Ctl.AgainstAsync(request => request.Contains("List", StringComparison.Ordinal) ? "0\0a/b\n" : "0\0size=1\nusage=0\nrw=True\n", token, "pool", "volumes", "p");
        Assert.That((code, ctl.Out, requests[1]), Is.EqualTo((0, "a/b\t1\t0\tTrue\t\t\t\n", "mgmt.pool.volume.Info+p dom0 name dom0\0a/b")));
    }

    [Test]
    public async Task A_check_of_all_pools_says_what_is_left(CancellationToken token)
    {
        var (code, ctl, requests) = await Ctl.AgainstAsync(
            request => "0\0" + (request.Contains("List", StringComparison.Ordinal) ? "a\nb\n" : request.Contains("+b", StringComparison.Ordinal) ? "unknown x mended=no no record names it\n" : ""),
            token, "pool", "check", "--mend", "--json");
        Assert.That((code, ctl.Out), Is.EqualTo((1, "[{\"pool\":\"b\",\"kind\":\"unknown\",\"what\":\"x\",\"mended\":false,\"message\":\"no record names it\"}]\n")));
        Assert.That(ctl.Error, Is.EqualTo("mgmtctl: pool check: 1 finding is left\n"));
        Assert.That(requests[2], Is.EqualTo("mgmt.pool.Check+b dom0 name dom0\0mend"));
    }

    [TestCase("")]
    [TestCase("--json")]
    public async Task Findings_are_written_and_how_many_are_left_is_the_reason_for_the_exit_status(string json, CancellationToken token)
    {
        const string Answer = "0\0unknown x mended=no why\nleftover y mended=yes why\ndamaged z mended=no why\n";
        var (code, ctl, _) = await Ctl.AgainstAsync(Answer, token, [.. new[] { "pool", "check", "p", json }.Where(word => word.Length > 0)]);
        Assert.That((code, ctl.Error), Is.EqualTo((1, "mgmtctl: pool check: 2 findings are left\n")));
        Assert.That(ctl.Out.Split(json.Length > 0 ? '}' : '\n'), Has.Length.EqualTo(4));
    }

    [TestCase("gibberish\n")]
    [TestCase("unknown x mended=maybe y\n")]
    public async Task A_finding_of_another_shape_is_one_line(string answer, CancellationToken token)
    {
        var (code, ctl, _) = await Ctl.AgainstAsync("0\0" + answer, token, "pool", "check", "p");
        Assert.That((code, ctl.Out), Is.EqualTo((1, "")));
        Assert.That(ctl.Error, Does.StartWith("mgmtctl: The daemon's answer is no finding"));
    }
}
