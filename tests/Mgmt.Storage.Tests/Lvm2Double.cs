using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Mgmt.Core;

namespace Mgmt.Storage.Tests;

/// <summary>
/// lvm2 for machines without device-mapper: takes exactly the argument lists that the driver may use (each was tried with lvm2 2.03.16), answers in
/// the shape of its reports and in its words, and keeps volumes as sparse files. A command can be made to fail or the daemon to die at it.
/// </summary>
internal sealed class Lvm2Double : ICommandRunner, IDisposable
{
    internal const string Group = "vg0", ThinPool = "pool00";
    private const long ExtentBytes = 4 << 20;
    private readonly Dictionary<string, Lv> _volumes = new(StringComparer.Ordinal);
    private int _made;

    internal Lvm2Double()
    {
        Devices = Directory.CreateTempSubdirectory("mgmt-lvm-").FullName;
        Directory.CreateDirectory(Path.Combine(Devices, "mapper"));
        Directory.CreateDirectory(Path.Combine(Devices, Group));
        File.WriteAllText(Path.Combine(Devices, "mapper", "control"), "");
    }

    internal string Devices { get; }

    internal string PoolAttributes { get; set; } = "twi-aotz--";

    /// <summary>Every command line, in order.</summary>
    internal List<string> Lines { get; } = [];

    internal IEnumerable<string> Changes => Lines.Where(line => !line.StartsWith("lvs ", StringComparison.Ordinal));

    /// <summary>Asked before each command; a result is given instead of running it, an exception is thrown.</summary>
    internal Func<string, CommandResult?> Before { get; set; } = _ => null;

    /// <summary>Volumes that somebody has open: they cannot be removed.</summary>
    internal HashSet<string> InUse { get; } = [];

    internal ImmutableArray<string> Names => [.. _volumes.Keys.Order(StringComparer.Ordinal)];

    internal ImmutableArray<string> TagsOf(string name) => [.. _volumes[name].Tags];

    internal string FileOf(string name) => Path.Combine(Devices, Group, name);

    /// <summary>A volume that somebody else made.</summary>
    internal void AddForeign(string name) => Make(name, ExtentBytes, "Vwi-a-tz--", []);

    internal void Deactivate(string name) => _volumes[name] = _volumes[name] with { Attributes = "Vwi---tz--" };

    public async Task<CommandResult> RunAsync(string program, ImmutableArray<string> arguments, TimeSpan deadline, CancellationToken cancellation)
    {
        if (program == "qemu-img")
        {
            return await new HostCommands().RunAsync(program, arguments, deadline, cancellation);
        }
        var line = $"{program} {string.Join(' ', arguments)}";
        Lines.Add(line);
        return Before(line) ?? Run(program, arguments);
    }

    public void Dispose() => Directory.Delete(Devices, recursive: true);

    private CommandResult Run(string program, ImmutableArray<string> arguments) => program switch
    {
        "lvs" when arguments is ["--reportformat", "json", "--units", "b", "--nosuffix", "--options", var fields, Group] => Report(fields.Split(',')),
        "lvcreate" => Create([.. arguments]),
        "lvrename" when arguments is ["--yes", Group, var from, var to] => Rename(from, to),
        "lvremove" when arguments is ["--yes", "--force", var full] => Remove(Own(full)),
        "lvchange" => Change([.. arguments]),
        "lvextend" when arguments is ["--yes", "--size", var size, var full] => Resize(Own(full), Whole(size), grow: true),
        "lvreduce" when arguments is ["--yes", "--force", "--size", var size, var full] => Resize(Own(full), Whole(size), grow: false),
        _ => Misread,
    };

    private static CommandResult Misread => new(3, "", "  Error during parsing of command line.");

    private CommandResult Create(string[] arguments) => arguments switch
    {
        ["--yes", "--type", "thin", "--virtualsize", var size, "--thinpool", ThinPool, "--name", var name, "--setactivationskip", "n", .. var tags, Group] =>
            Make(name, Whole(size), "Vwi-a-tz--", Tags(tags)),
        ["--yes", "--snapshot", "--name", var name, "--setactivationskip", "n", "--permission", var mode, .. var tags, var origin] when mode is "r" or "rw" =>
            Snapshot(Own(origin), name, mode, Tags(tags)),
        _ => Misread,
    };

    private CommandResult Change(string[] arguments) => arguments switch
    {
        ["--yes", "--deltag", var tag, var full] => Change(Own(full), lv => lv with { Tags = lv.Tags.Remove(tag) }),
        ["--yes", "--activate", "y", "--ignoreactivationskip", var full] => Change(Own(full), lv => lv with { Attributes = "Vwi-a-tz--" }),
        ["--yes", .. var tags, var full] => Change(Own(full), lv => lv with { Tags = lv.Tags.Union(Tags(tags)) }),
        _ => Misread,
    };

    private CommandResult Report(string[] fields)
    {
        var pool = new Lv("POOL", PoolAttributes, 1L << 30, []);
        var rows = _volumes.Append(new(ThinPool, pool)).Select(pair => fields.ToDictionary(field => field, field => Field(field, pair.Key, pair.Value, pair.Value == pool)));
        return new CommandResult(0, JsonSerializer.Serialize(new Dictionary<string, object> { ["report"] = new[] { new Dictionary<string, object> { ["lv"] = rows } } }), "");
    }

    // What a field holds of a thin volume or the pool; of an inactive one there are no percentages.
    private static string Field(string field, string name, Lv lv, bool isPool) => field switch
    {
        "lv_name" => name,
        "lv_uuid" => lv.Uuid,
        "lv_attr" => lv.Attributes,
        "lv_size" => lv.SizeBytes.ToString(CultureInfo.InvariantCulture),
        "pool_lv" => isPool ? "" : ThinPool,
        "data_percent" => lv.Attributes[4] == 'a' ? "25.00" : "",
        "lv_metadata_size" => isPool ? "4194304" : "",
        "metadata_percent" => isPool ? "12.50" : "",
        "lv_tags" => string.Join(',', lv.Tags),
        "vg_extent_size" => ExtentBytes.ToString(CultureInfo.InvariantCulture),
        _ => throw new ArgumentException(field),
    };

    private CommandResult Make(string name, long size, string attributes, IEnumerable<string> tags)
    {
        if (_volumes.ContainsKey(name))
        {
            return new CommandResult(5, "", $"  Logical Volume \"{name}\" already exists in volume group \"{Group}\"");
        }
        _volumes.Add(name, new Lv($"UUID-{++_made}", attributes, size, [.. tags]));
        using var file = File.Create(FileOf(name));
        file.SetLength(size);
        return new CommandResult(0, "", "");
    }

    private CommandResult Snapshot(string origin, string name, string mode, IEnumerable<string> tags)
    {
        if (!_volumes.TryGetValue(origin, out var lv))
        {
            return new CommandResult(5, "", $"  Snapshot origin LV {origin} not found in Volume group {Group}.");
        }
        var made = Make(name, lv.SizeBytes, mode == "r" ? "Vri-a-tz--" : "Vwi-a-tz--", tags);
        if (made.Status == 0)
        {
            File.Copy(FileOf(origin), FileOf(name), overwrite: true);
        }
        return made;
    }

    private CommandResult Rename(string from, string to)
    {
        if (!_volumes.TryGetValue(from, out var lv) || _volumes.ContainsKey(to))
        {
            return new CommandResult(5, "", $"  Existing logical volume \"{from}\" not found in volume group \"{Group}\"");
        }
        _volumes.Remove(from);
        _volumes.Add(to, lv);
        File.Move(FileOf(from), FileOf(to));
        return new CommandResult(0, "", "");
    }

    private CommandResult Remove(string name)
    {
        if (InUse.Contains(name))
        {
            return new CommandResult(5, "", $"  Logical volume {Group}/{name} in use.");
        }
        if (!_volumes.Remove(name))
        {
            return new CommandResult(5, "", $"  Failed to find logical volume \"{Group}/{name}\"");
        }
        File.Delete(FileOf(name));
        return new CommandResult(0, "", "");
    }

    private CommandResult Change(string name, Func<Lv, Lv> change)
    {
        if (!_volumes.TryGetValue(name, out var lv))
        {
            return new CommandResult(5, "", $"  Failed to find logical volume \"{Group}/{name}\"");
        }
        _volumes[name] = change(lv);
        return new CommandResult(0, "", "");
    }

    private CommandResult Resize(string name, long size, bool grow)
    {
        var lv = _volumes[name];
        if (size == lv.SizeBytes || size > lv.SizeBytes != grow)
        {
            return new CommandResult(5, "", $"  New size ({size / ExtentBytes} extents) matches existing size ({size / ExtentBytes} extents).");
        }
        using var file = File.OpenWrite(FileOf(name));
        file.SetLength(size);
        return Change(name, old => old with { SizeBytes = size });
    }

    private static string Own(string full) => full.StartsWith(Group + "/", StringComparison.Ordinal) ? full[(Group.Length + 1)..] : throw new ArgumentException(full);

    private static List<string> Tags(string[] arguments)
    {
        var tags = new List<string>();
        for (var i = 0; i < arguments.Length; i += 2)
        {
            tags.Add(arguments[i] == "--addtag" && arguments[i + 1].All(c => char.IsAsciiLetterOrDigit(c) || "_+.-/=!:#&".Contains(c, StringComparison.Ordinal))
                ? arguments[i + 1] : throw new ArgumentException(arguments[i + 1]));
        }
        return tags;
    }

    private static long Whole(string size) => (long.Parse(size.TrimEnd('b'), CultureInfo.InvariantCulture) + ExtentBytes - 1) / ExtentBytes * ExtentBytes;

    private sealed record Lv(string Uuid, string Attributes, long SizeBytes, ImmutableSortedSet<string> Tags);
}
