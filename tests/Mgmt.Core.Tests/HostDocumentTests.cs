using System.Buffers;
using System.Collections.Immutable;
using System.Text;
using FsCheck;
using FsCheck.Fluent;

namespace Mgmt.Core.Tests;

public sealed class HostDocumentTests
{
    internal const string Full = """
        {
          // a comment
          "labels": { "red": { "index": 1, "color": "0xcc0000" }, "black": { "index": 8, "color": "0x000000" } },
          "pools": { "default": { "driver": "qcow2", "config": { "dir_path": "/x" } }, "linux-kernel": { "driver": "linux-kernel" } },
          "properties": { "default_template": "debian", "default_pool": "default" },
          "behaviour": { "delays": { "agent": 5, "kill": 7 }, "faults": { "shutdown": "ignored" } },
          "vms": {
            "debian": { "class": "TemplateVM", "properties": { "label": "black" }, "volumes": {
              "root": { "pool": "default", "vid": "t/root", "size": 4, "rw": true, "save_on_stop": true, "snap_on_start": false } } },
            "work": { "class": "AppVM", "qid": 1, "uuid": "5e7ab1e0-0000-4000-8000-000000000007", "state": "Running",
              "properties": { "label": "red", "template": "debian", "netvm": "" }, "features": { "os": "L'inux <&>" }, "tags": ["b", "a"],
              "behaviour": { "delays": { "agent": 9 }, "faults": { "shutdown": null, "launch": "fails: no" } },
              "volumes": {
                "root": { "pool": "default", "vid": "w/root", "size": 4, "rw": true, "save_on_stop": false, "snap_on_start": true, "source": "t/root" },
                "volatile": { "pool": "default", "vid": "w/volatile", "size": 9, "rw": true, "save_on_stop": false, "snap_on_start": false, "revisions_to_keep": -1, "ephemeral": true },
                "kernel": { "pool": "linux-kernel", "vid": null, "size": 0, "rw": false, "save_on_stop": false, "snap_on_start": false }, } },
          },
        }
        """;

    [Test]
    public void Everything_written_in_a_document_is_read()
    {
        var content = HostDocument.Read(Encoding.UTF8.GetBytes(Full));
        var work = content.Seed.Vms.Single(vm => vm.Name.Value == "work");
        var kernel = work.Volumes[VolumeName.Kernel];
        var scratch = work.Volumes[VolumeName.Volatile];
        Assert.Multiple(() =>
        {
            Assert.That(content.Seed.Vms.Select(vm => (vm.Name.Value, vm.Qid)), Is.EqualTo(new[] { ("dom0", 0), ("work", 1), ("debian", 2) }));
            Assert.That(content.Started.Select(name => name.Value), Is.EqualTo(new[] { "work" }));
            Assert.That(work.Status, Is.EqualTo(VmStatus.Halted));
            Assert.That(work.Property("template"), Is.EqualTo("debian"));
            Assert.That(work.Features["os"], Is.EqualTo("L'inux <&>"));
            Assert.That(work.Tags.Select(tag => tag.Value), Is.EqualTo(new[] { "a", "b" }));
            Assert.That(work.Volumes[VolumeName.Root].Source?.Value, Is.EqualTo("t/root"));
            Assert.That(kernel.Vid, Is.Null);
            Assert.That((scratch.RevisionsToKeep, scratch.Ephemeral, scratch.SizeBytes), Is.EqualTo(((int?)-1, true, 9L)));
            Assert.That(content.Seed.Pools[0].Config["dir_path"], Is.EqualTo("/x"));
        });
    }

    [Test]
    public void A_vm_changes_single_members_of_the_default_behaviour()
    {
        var behaviour = HostDocument.Read(Encoding.UTF8.GetBytes(Full)).Behaviour;
        var work = behaviour.For(VmName.Parse("work"));
        var other = behaviour.For(VmName.Parse("made-later"));
        Assert.Multiple(() =>
        {
            Assert.That((work.Delays.Agent.TotalMilliseconds, work.Delays.Kill.TotalMilliseconds), Is.EqualTo((9d, 7d)));
            Assert.That((work.Faults.IgnoresShutdown, work.Faults.Launch), Is.EqualTo((false, "no")));
            Assert.That((other.Faults.IgnoresShutdown, other.Faults.Launch, other.Delays.Agent.TotalMilliseconds), Is.EqualTo((true, (string?)null, 5d)));
        });
    }

    [Test]
    public void An_empty_document_is_a_host_with_dom0_and_the_default_labels()
    {
        var seed = HostDocument.Read("{}"u8).Seed;
        Assert.That(seed.Vms, Is.EqualTo(new[] { HostSeed.Dom0 }));
        Assert.That(seed.Labels, Is.EqualTo(HostSeed.DefaultLabels));
    }

    [Test]
    public void Writing_what_was_read_from_what_was_written_gives_the_same_bytes()
    {
        var first = Write(HostDocument.Read(Encoding.UTF8.GetBytes(Full)));
        var second = Write(HostDocument.Read(first));
        Assert.That(Encoding.UTF8.GetString(second), Is.EqualTo(Encoding.UTF8.GetString(first)));
        Assert.That(Encoding.UTF8.GetString(first), Does.Contain("\"state\": \"Running\"").And.Contain("L'inux <&>").And.EndsWith("}\n"));
    }

    [Test]
    public void A_vm_without_a_uuid_has_the_same_one_every_time()
    {
        var one = HostDocument.Read(Encoding.UTF8.GetBytes(Full)).Seed.Vms.Single(vm => vm.Name.Value == "debian").Uuid;
        var two = HostDocument.Read("""{ "vms": { "debian": { "class": "StandaloneVM" } } }"""u8).Seed.Vms.Single(vm => vm.Name.Value == "debian").Uuid;
        Assert.That(two, Is.EqualTo(one).And.Not.EqualTo(Guid.Empty));
    }

    [Test]
    public void A_document_cut_off_at_any_byte_is_refused_and_nothing_else()
    {
        var bytes = Encoding.UTF8.GetBytes(Full);
        for (var length = 0; length < bytes.Length; length++)
        {
            var error = Assert.Throws<MgmtException>(() => HostDocument.Read(bytes.AsSpan(0, length)), $"cut off at {length}");
            Assert.That(error.Code, Is.EqualTo(ErrorCode.QubesValueError));
        }
    }

    [Test]
    public void Any_bytes_give_a_document_or_a_refusal() =>
        Prop.ForAll<byte[]>(bytes => ReadsOrRefuses(bytes)).QuickCheckThrowOnFailure();

    [Test]
    public void Any_change_of_a_byte_gives_a_document_or_a_refusal()
    {
        var bytes = Encoding.UTF8.GetBytes(Full);
        Prop.ForAll<int, byte>((at, value) =>
        {
            var changed = bytes.ToArray();
            changed[(int)((uint)at * 2654435761u % (uint)bytes.Length)] = value;
            return ReadsOrRefuses(changed);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));
    }

    [Test]
    public void A_document_longer_than_16_MiB_is_refused()
    {
        var bytes = new byte[HostDocument.MaxBytes + 1];
        bytes.AsSpan().Fill((byte)' ');
        "{}"u8.CopyTo(bytes);
        Assert.That(() => HostDocument.Read(bytes), Throws.TypeOf<MgmtException>().With.Message.Contains("longer than"));
        Assert.That(() => HostDocument.Read(bytes.AsSpan(0, HostDocument.MaxBytes)), Throws.Nothing);
    }

    internal static byte[] Write(HostDocumentContent content)
    {
        var seed = content.Seed;
        var running = new VmStatus { State = VmState.Running };
        var vms = seed.Vms.Select(vm => content.Started.Contains(vm.Name) ? vm with { Status = running } : vm).ToArray();
        var state = new HostState
        {
            Vms = vms.ToImmutableSortedDictionary(vm => vm.Name, vm => vm),
            NamesByUuid = vms.ToImmutableDictionary(vm => vm.Uuid, vm => vm.Name),
            Labels = seed.Labels.ToImmutableSortedDictionary(label => label.Name, label => label),
            Pools = seed.Pools.ToImmutableSortedDictionary(pool => pool.Name, pool => pool),
            Properties = seed.Properties,
        };
        var output = new ArrayBufferWriter<byte>();
        HostDocument.Write(state, output);
        return output.WrittenSpan.ToArray();
    }

    private static bool ReadsOrRefuses(byte[] bytes)
    {
        try
        {
            HostDocument.Read(bytes);
            return true;
        }
        catch (MgmtException error)
        {
            return error.Code == ErrorCode.QubesValueError;
        }
    }
}
