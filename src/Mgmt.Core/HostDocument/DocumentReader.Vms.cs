using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;

namespace Mgmt.Core;

/// <summary>
/// <code>
/// vm     = { class, qid?, uuid?, state?, properties?, features?, tags?: [TAG], volumes?: { root|private|volatile|kernel: volume }, devices?, notes?: TEXT, behaviour? }
/// volume = { pool, vid (null: none), size, rw, save_on_stop, snap_on_start, source?, revisions_to_keep?, ephemeral? }
/// </code>
/// A VM without a qid gets the lowest free one, in the order of the document; one without a uuid a fixed one made from its name.
/// </summary>
internal sealed partial class DocumentReader
{
    // Not Enum.TryParse: that takes numbers and other spellings too.
    private static readonly Dictionary<string, VmClass> Classes = Enum.GetValues<VmClass>().ToDictionary(c => c.ToString(), StringComparer.Ordinal);

    private readonly HashSet<int> _qids = [];
    private readonly HashSet<Guid> _uuids = [];

    private ImmutableArray<VmRecord> Vms(DocumentNode? node, VmBehaviour byDefault)
    {
        List<VmRecord> vms = [.. (node?.Members() ?? []).Select(member => Vm(member, byDefault))];
        if (!vms.Exists(vm => vm.Name == VmName.Dom0))
        {
            vms.Add(HostSeed.Dom0);
        }
        var next = 1;
        for (var i = 0; i < vms.Count; i++)
        {
            if (vms[i].Qid < 0)
            {
                while (!_qids.Add(next))
                {
                    next++;
                }
                vms[i] = vms[i] with { Qid = next };
            }
        }
        return [.. vms.OrderBy(vm => vm.Qid)];
    }

    private VmRecord Vm(DocumentNode node, VmBehaviour byDefault)
    {
        var fields = node.Fields("class", "qid", "uuid", "state", "properties", "features", "tags", "volumes", "devices", "notes", "behaviour");
        var name = node.ParsedName(VmName.Parse);
        var isDom0 = name == VmName.Dom0;
        var vmClass = Class(fields.Get("class"), isDom0);
        var vm = new VmRecord
        {
            Name = name,
            Class = vmClass,
            Qid = Qid(fields.Find("qid"), isDom0),
            Uuid = Uuid(fields.Find("uuid"), name),
            Properties = fields.Find("properties") is { } properties ? Texts(properties, PropertyName, Any) : VmRecord.Empty,
            Features = fields.Find("features") is { } features ? Texts(features, FeatureKey, Printable) : VmRecord.Empty,
            Tags = Tags(fields.Find("tags")),
            Volumes = Volumes(fields.Find("volumes"), vmClass),
            Assignments = Assignments(fields.Find("devices")),
            Notes = fields.Find("notes")?.Text() ?? "",
            Status = isDom0 ? HostSeed.Dom0.Status : VmStatus.Halted,
        };
        if (IsStarted(fields.Find("state"), vmClass))
        {
            _started.Add(name);
        }
        if (fields.Find("behaviour") is { } behaviour)
        {
            _behaviours[name] = isDom0 ? throw behaviour.Refuse("dom0 has none") : BehaviourReader.Read(behaviour, byDefault);
        }
        return vm;
    }

    private static VmClass Class(DocumentNode node, bool isDom0)
    {
        var vmClass = Classes.TryGetValue(node.Text(), out var known) ? known : throw node.Refuse("is not a class of VMs");
        return vmClass == VmClass.AdminVM == isDom0 ? vmClass : throw node.Refuse("dom0 and only dom0 is an AdminVM");
    }

    /// <summary>The qid, or -1 when one is to be found.</summary>
    private int Qid(DocumentNode? node, bool isDom0)
    {
        if (isDom0)
        {
            return (int)(node?.Number(0, 0) ?? 0);
        }
        if (node is null)
        {
            return -1;
        }
        var qid = (int)node.Number(1, int.MaxValue);
        return _qids.Add(qid) ? qid : throw node.Refuse("another VM has this qid");
    }

    private Guid Uuid(DocumentNode? node, VmName name)
    {
        Guid uuid;
        if (node is null)
        {
            uuid = name == VmName.Dom0 ? Guid.Empty : UuidOf(name);
        }
        else if (!Guid.TryParseExact(node.Text(), "D", out uuid) || uuid == Guid.Empty != (name == VmName.Dom0))
        {
            throw node.Refuse("must be a UUID; all zeros is dom0's");
        }
        return _uuids.Add(uuid) ? uuid : throw DocumentPath.Refuse(DocumentPath.Of("vms", name.Value, "uuid"), "another VM has this UUID");
    }

    private static Guid UuidOf(VmName name)
    {
        var bytes = SHA256.HashData(Encoding.ASCII.GetBytes("mgmt test host " + name.Value)).AsSpan(0, 16);
        // Version 8, made by our own rule, and the variant. SOURCE: RFC 9562, 5.8.
        bytes[6] = (byte)((bytes[6] & 0x0f) | 0x80);
        bytes[8] = (byte)((bytes[8] & 0x3f) | 0x80);
        return new Guid(bytes, bigEndian: true);
    }

    private static bool IsStarted(DocumentNode? node, VmClass vmClass) => node?.Text() switch
    {
        null or "Halted" when vmClass != VmClass.AdminVM => false,
        null or "Running" when vmClass == VmClass.AdminVM => false,
        "Running" when vmClass != VmClass.RemoteVM => true,
        _ => throw node!.Refuse("must be Halted or Running; dom0 runs, a RemoteVM does not run here"),
    };

    private static ImmutableSortedSet<TagName> Tags(DocumentNode? node)
    {
        var tags = ImmutableSortedSet.CreateBuilder<TagName>();
        foreach (var item in node?.Items() ?? [])
        {
            if (!tags.Add(item.Parsed(TagName.Parse)))
            {
                throw item.Refuse("is there twice");
            }
        }
        return tags.ToImmutable();
    }

    private ImmutableSortedDictionary<VolumeName, VolumeRecord> Volumes(DocumentNode? node, VmClass vmClass)
    {
        var volumes = ImmutableSortedDictionary.CreateBuilder<VolumeName, VolumeRecord>();
        foreach (var member in node?.Members() ?? [])
        {
            if (vmClass is VmClass.AdminVM or VmClass.RemoteVM)
            {
                throw member.Refuse("a VM of this class has no volumes");
            }
            var volume = Volume(member);
            volumes.Add(volume.Name, volume);
        }
        return volumes.ToImmutable();
    }

    private VolumeRecord Volume(DocumentNode node)
    {
        var fields = node.Fields("pool", "vid", "size", "rw", "save_on_stop", "snap_on_start", "source", "revisions_to_keep", "ephemeral");
        var volume = new VolumeRecord
        {
            Name = node.ParsedName(VolumeNames.Parse),
            Pool = fields.Get("pool").Parsed(PoolName.Parse),
            Vid = fields.Get("vid") is { IsNull: false } vid ? vid.Parsed(Vid.Parse) : null,
            SizeBytes = fields.Get("size").Number(0, long.MaxValue),
            Writable = fields.Get("rw").Flag(),
            SaveOnStop = fields.Get("save_on_stop").Flag(),
            SnapOnStart = fields.Get("snap_on_start").Flag(),
            Source = fields.Value("source")?.Parsed(Vid.Parse),
            RevisionsToKeep = (int?)fields.Value("revisions_to_keep")?.Number(-1, int.MaxValue),
            Ephemeral = fields.Find("ephemeral")?.Flag() ?? false,
        };
        if (volume.Vid is null && volume.Name != VolumeName.Kernel)
        {
            throw fields.Get("vid").Refuse("only a kernel volume can be without one");
        }
        if (volume.SnapOnStart != volume.Source is not null)
        {
            throw DocumentPath.Refuse(DocumentPath.Member(node.Path, "source"), "a snap_on_start volume has a source, and no other has one");
        }
        // Kernels are shared; every other volume belongs to one VM.
        if (volume.Name != VolumeName.Kernel && !_vids.Add($"{volume.Pool.Value} {volume.Vid!.Value.Value}"))
        {
            throw fields.Get("vid").Refuse("another volume of this pool has this id");
        }
        return volume;
    }
}
