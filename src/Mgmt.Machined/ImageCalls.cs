using System.Collections.Immutable;
using Mgmt.Core;
using Mgmt.Machined.Bus;

namespace Mgmt.Machined;

/// <summary>The calls about images, and how their answers read. SOURCE: org.freedesktop.machine1(5), "The Manager Object".</summary>
internal static class ImageCalls
{
    public const string NoSuchImage = "org.freedesktop.machine1.NoSuchImage";
    // The registry's word for "unknown" and for "no limit".
    public const ulong Unlimited = ulong.MaxValue;

    private const string Image = "org.freedesktop.machine1.Image";
    private const int MostImages = 4096;
    private const int MostProperties = 64;

    public static BusCall List { get; } = Manager("ListImages");

    public static BusCall PoolProperties { get; } =
        new(MachineCalls.Machined, MachineCalls.MachinedPath, BusNames.Properties, "GetAll", writer => writer.String(MachineCalls.MachinedManager));

    // GetImage(s name) -> o
    public static BusCall Get(string name) => Manager("GetImage", writer => writer.String(name));

    // Properties.GetAll(s interface) -> a{sv}
    public static BusCall Properties(string path) => new(MachineCalls.Machined, path, BusNames.Properties, "GetAll", writer => writer.String(Image));

    // CloneImage(s name, s new_name, b read_only)
    public static BusCall Clone(string name, string newName, bool readOnly) => Manager("CloneImage", writer =>
    {
        writer.String(name);
        writer.String(newName);
        writer.Boolean(readOnly);
    });

    // RemoveImage(s name)
    public static BusCall Remove(string name) => Manager("RemoveImage", writer => writer.String(name));

    // RenameImage(s name, s new_name)
    public static BusCall Rename(string name, string newName) => Manager("RenameImage", writer =>
    {
        writer.String(name);
        writer.String(newName);
    });

    // MarkImageReadOnly(s name, b read_only)
    public static BusCall MarkReadOnly(string name, bool readOnly) => Manager("MarkImageReadOnly", writer =>
    {
        writer.String(name);
        writer.Boolean(readOnly);
    });

    // SetImageLimit(s name, t size)
    public static BusCall SetLimit(string name, long? sizeBytes) => Manager("SetImageLimit", writer =>
    {
        writer.String(name);
        writer.UInt64(Limit(sizeBytes));
    });

    // SetPoolLimit(t size)
    public static BusCall SetPoolLimit(long? sizeBytes) => Manager("SetPoolLimit", writer => writer.UInt64(Limit(sizeBytes)));

    /// <summary>The images of <c>a(ssbttto)</c>: name, type, read-only, created, modified, used, path of the object.</summary>
    public static ImmutableArray<MachineImage> ReadList(BusReader reader)
    {
        var images = ImmutableArray.CreateBuilder<MachineImage>();
        reader.EnterArray("(ssbttto)");
        while (reader.TryEnterStruct("ssbttto"))
        {
            var (name, type, readOnly) = (reader.String(), reader.String(), reader.Boolean());
            reader.Skip("tt");
            images.Add(new MachineImage(name, type, readOnly, Known(reader.UInt64())));
            reader.Skip("o");
            reader.Exit();
            if (images.Count > MostImages)
            {
                throw new BusFormatException("too many images");
            }
        }
        return images.ToImmutable();
    }

    /// <summary>An image of its properties, <c>a{sv}</c>.</summary>
    public static MachineImage ReadImage(BusReader reader)
    {
        var values = ReadProperties(reader);
        string Text(string name) => values.GetValueOrDefault(name) as string ?? throw new BusFormatException($"an image without {name}");
        return new MachineImage(Text("Name"), Text("Type"), values.GetValueOrDefault("ReadOnly") is true, Known(values.GetValueOrDefault("Usage")))
        {
            Path = Text("Path"),
            LimitBytes = Known(values.GetValueOrDefault("Limit")),
        };
    }

    /// <summary>The directory of the images, without the images, of the manager's properties.</summary>
    public static MachineImageList ReadPool(BusReader reader)
    {
        var values = ReadProperties(reader);
        return new MachineImageList(
            values.GetValueOrDefault("PoolPath") as string ?? "", Known(values.GetValueOrDefault("PoolUsage")), Known(values.GetValueOrDefault("PoolLimit")), []);
    }

    /// <summary>The strings, numbers and booleans that we read of an <c>a{sv}</c>; the rest is passed over.</summary>
    private static Dictionary<string, object> ReadProperties(BusReader reader)
    {
        var values = new Dictionary<string, object>(StringComparer.Ordinal);
        reader.EnterArray("{sv}");
        for (var n = 0; reader.TryEnterEntry("sv"); n++)
        {
            if (n == MostProperties)
            {
                throw new BusFormatException("too many properties");
            }
            ReadValue(reader, reader.String(), values);
            reader.Exit();
        }
        return values;
    }

    private static void ReadValue(BusReader reader, string name, Dictionary<string, object> values)
    {
        switch (name)
        {
            case "Name" or "Path" or "Type" or "PoolPath":
                reader.EnterVariant("s");
                values[name] = reader.String();
                break;
            case "ReadOnly":
                reader.EnterVariant("b");
                values[name] = reader.Boolean();
                break;
            case "Usage" or "Limit" or "PoolUsage" or "PoolLimit":
                reader.EnterVariant("t");
                values[name] = reader.UInt64();
                break;
            default:
                reader.Skip("v");
                return;
        }
        reader.Exit();
    }

    private static BusCall Manager(string member, Action<BusWriter>? arguments = null) =>
        new(MachineCalls.Machined, MachineCalls.MachinedPath, MachineCalls.MachinedManager, member, arguments);

    private static ulong Limit(long? sizeBytes) => sizeBytes is { } size ? (ulong)size : Unlimited;

    private static long? Known(object? value) => value is ulong number and <= long.MaxValue ? (long)number : null;
}
