using System.Collections.Immutable;

namespace Mgmt.Core;

/// <summary>
/// <code>
/// document  = { labels?, pools?, properties?, devices?, vms?, behaviour? }
/// labels    = { NAME: { index, color } }          without it: the eight every host begins with
/// pools     = { NAME: { driver, config? } }
/// properties, config, features = { NAME: TEXT }
/// vms       = { NAME: vm }
/// </code>
/// </summary>
internal sealed partial class DocumentReader
{
    private readonly HashSet<string> _vids = new(StringComparer.Ordinal);
    private readonly List<VmName> _started = [];
    private readonly Dictionary<VmName, VmBehaviour> _behaviours = [];

    public HostDocumentContent Read(DocumentNode root)
    {
        var fields = root.Fields("labels", "pools", "properties", "devices", "vms", "behaviour");
        var labels = fields.Find("labels") is { } given ? Labels(given) : HostSeed.DefaultLabels;
        var pools = fields.Find("pools") is { } poolsGiven ? Pools(poolsGiven) : [];
        var properties = fields.Find("properties") is { } set ? Texts(set, PropertyName, Any) : VmRecord.Empty;
        var byDefault = fields.Find("behaviour") is { } node ? BehaviourReader.Read(node, VmBehaviour.None) : VmBehaviour.None;
        var vms = Vms(fields.Find("vms"), byDefault);
        var seed = new HostSeed(vms, labels, pools, properties);
        ReferenceCheck.Run(seed);
        _started.Sort();
        var behaviour = new TestBehaviour { Default = byDefault, Vms = _behaviours.ToImmutableSortedDictionary() };
        return new HostDocumentContent(seed, [.. _started], behaviour) { Devices = Devices(fields.Find("devices")) };
    }

    private static ImmutableArray<Label> Labels(DocumentNode node)
    {
        var indexes = new HashSet<int>();
        var labels = new List<Label>();
        foreach (var member in node.Members())
        {
            var fields = member.Fields("index", "color");
            var index = (int)fields.Get("index").Number(1, int.MaxValue);
            if (!indexes.Add(index))
            {
                throw fields.Get("index").Refuse("another label has this index");
            }
            labels.Add(new Label(member.ParsedName(LabelName.Parse), index, Color(fields.Get("color"))));
        }
        return [.. labels.OrderBy(label => label.Index)];
    }

    private static string Color(DocumentNode node)
    {
        var text = node.Text();
        return text.Length == 8 && text.StartsWith("0x", StringComparison.Ordinal) && text.Skip(2).All(char.IsAsciiHexDigit)
            ? text
            : throw node.Refuse("must be a colour of the form 0xRRGGBB");
    }

    private static ImmutableArray<PoolRecord> Pools(DocumentNode node)
    {
        var pools = new List<PoolRecord>();
        foreach (var member in node.Members())
        {
            var fields = member.Fields("driver", "config");
            // A driver's name follows the rule of pool names: it is an argument of pool.Add.
            var driver = fields.Get("driver").Parsed(PoolName.Parse).Value;
            var config = fields.Find("config") is { } given ? Texts(given, FeatureKey, Any) : VmRecord.Empty;
            pools.Add(new PoolRecord(member.ParsedName(PoolName.Parse), driver, config));
        }
        return [.. pools.OrderBy(pool => pool.Name)];
    }

    private static ImmutableSortedDictionary<string, string> Texts(DocumentNode node, Action<DocumentNode> checkName, Action<DocumentNode, string> checkValue)
    {
        var texts = VmRecord.Empty.ToBuilder();
        foreach (var member in node.Members())
        {
            checkName(member);
            var text = member.Text();
            checkValue(member, text);
            texts.Add(member.Name, text);
        }
        return texts.ToImmutable();
    }

    private static void PropertyName(DocumentNode node)
    {
        if (node.Name.Length is 0 or > 64 || !node.Name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '_'))
        {
            throw node.Refuse("is not a property name");
        }
    }

    private static void FeatureKey(DocumentNode node) => node.ParsedName(FeatureName.Parse);

    private static void Any(DocumentNode node, string text)
    {
    }

    private static void Printable(DocumentNode node, string text)
    {
        if (text.AsSpan().ContainsAnyExceptInRange(' ', '~'))
        {
            throw node.Refuse("must be printable ASCII");
        }
    }
}
