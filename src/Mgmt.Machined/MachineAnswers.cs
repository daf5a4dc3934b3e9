using System.Collections.Immutable;
using System.Net;
using Mgmt.Machined.Bus;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Machined;

/// <summary>How answers about machines read; each is bounded. SOURCE: org.freedesktop.machine1(5).</summary>
internal static class MachineAnswers
{
    private const int MostMachines = 4096;
    private const int MostAddresses = 256;
    private const int MostFields = 256;
    private const int MostInterfaces = 256;
    private const int MostCleaned = 4096;
    private const int UuidBytes = 16;
    private const int Ipv4 = 2;
    private const int Ipv6 = 10;

    /// <summary><c>a(ssso)</c>: name, class, service, path.</summary>
    public static ImmutableArray<ListedMachine> List(BusReader reader)
    {
        var machines = ImmutableArray.CreateBuilder<ListedMachine>();
        reader.EnterArray("(ssso)");
        while (reader.TryEnterStruct("ssso"))
        {
            machines.Add(new ListedMachine(reader.String(), reader.String(), reader.String(), reader.ObjectPath()));
            reader.Exit();
            AtMost(machines.Count, MostMachines, "machines");
        }
        return machines.ToImmutable();
    }

    /// <summary><c>a(iay)</c>: family and the address's bytes, 4 or 16.</summary>
    public static ImmutableArray<IPAddress> Addresses(BusReader reader)
    {
        var addresses = ImmutableArray.CreateBuilder<IPAddress>();
        reader.EnterArray("(iay)");
        while (reader.TryEnterStruct("iay"))
        {
            var family = reader.Int32();
            var bytes = reader.Bytes(UuidBytes);
            addresses.Add((family, bytes.Length) is (Ipv4, 4) or (Ipv6, 16) ? new IPAddress(bytes) : throw new BusFormatException("an address of no known kind"));
            reader.Exit();
            AtMost(addresses.Count, MostAddresses, "addresses");
        }
        return addresses.ToImmutable();
    }

    /// <summary><c>a{ss}</c>; a key that comes twice counts the last time.</summary>
    public static ImmutableSortedDictionary<string, string> Fields(BusReader reader)
    {
        var fields = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        reader.EnterArray("{ss}");
        for (var n = 1; reader.TryEnterEntry("ss"); n++)
        {
            var key = reader.String();
            fields[key] = reader.String();
            reader.Exit();
            AtMost(n, MostFields, "fields");
        }
        return fields.ToImmutable();
    }

    /// <summary><c>h s</c>: our end of a terminal, and its path in the machine. An open file of another kind is closed: reading one may block, and writing change it.</summary>
    public static OpenTerminal Terminal(BusReader reader)
    {
        var file = reader.File();
        try
        {
            return Libc.IsTerminal(file) ? new OpenTerminal(file, reader.String()) : throw new BusFormatException("the open file is no terminal");
        }
        catch (BusFormatException)
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary><c>h</c></summary>
    public static SafeFileHandle File(BusReader reader) => reader.File();

    /// <summary><c>ay</c> of 16 bytes; null for an empty one or zeroes.</summary>
    public static Guid? Id(BusReader reader)
    {
        var bytes = reader.Bytes(UuidBytes);
        return bytes.Length switch
        {
            UuidBytes when bytes.AsSpan().ContainsAnyExcept((byte)0) => new Guid(bytes, bigEndian: true),
            0 or UuidBytes => null,
            _ => throw new BusFormatException("an id that is no UUID"),
        };
    }

    /// <summary><c>a(st)</c>: images that were removed, and what they took on disk.</summary>
    public static ImmutableArray<(string Image, ulong Bytes)> Cleaned(BusReader reader)
    {
        var images = ImmutableArray.CreateBuilder<(string, ulong)>();
        reader.EnterArray("(st)");
        while (reader.TryEnterStruct("st"))
        {
            images.Add((reader.String(), reader.UInt64()));
            reader.Exit();
            AtMost(images.Count, MostCleaned, "images");
        }
        return images.ToImmutable();
    }

    /// <summary><c>s o u</c>: whose user or group it is.</summary>
    public static MappedId Mapped(BusReader reader) => new(reader.String(), reader.ObjectPath(), reader.UInt32());

    /// <summary>The properties of a machine, <c>a{sv}</c>; those that we do not know are passed over.</summary>
    public static MachineProperties Properties(BusReader reader)
    {
        var read = new MachineProperties();
        reader.EnterArray("{sv}");
        for (var n = 1; reader.TryEnterEntry("sv"); n++)
        {
            read = Property(reader, reader.String(), read);
            reader.Exit();
            AtMost(n, MostFields, "properties");
        }
        return read.Name.Length > 0 ? read : throw new BusFormatException("a machine without a name");
    }

    private static MachineProperties Property(BusReader reader, string name, MachineProperties read)
    {
        var type = name switch
        {
            "Name" or "Service" or "Unit" or "Class" or "RootDirectory" or "State" => "s",
            "Timestamp" or "TimestampMonotonic" => "t",
            "Id" => "ay",
            "Leader" => "u",
            "NetworkInterfaces" => "ai",
            _ => null,
        };
        if (type is null)
        {
            reader.Skip("v");
            return read;
        }
        reader.EnterVariant(type);
        var next = name switch
        {
            "Name" => read with { Name = reader.String() },
            "Service" => read with { Service = reader.String() },
            "Unit" => read with { Unit = reader.String() },
            "Class" => read with { Class = reader.String() },
            "RootDirectory" => read with { RootDirectory = reader.String() },
            "State" => read with { State = reader.String() },
            "Timestamp" => read with { Timestamp = reader.UInt64() },
            "TimestampMonotonic" => read with { TimestampMonotonic = reader.UInt64() },
            "Id" => read with { Id = Id(reader) },
            "Leader" => read with { Leader = reader.UInt32() },
            _ => read with { NetworkInterfaces = Numbers(reader) },
        };
        reader.Exit();
        return next;
    }

    private static ImmutableArray<int> Numbers(BusReader reader)
    {
        var numbers = ImmutableArray.CreateBuilder<int>();
        reader.EnterArray("i");
        while (reader.TryInt32(out var number))
        {
            numbers.Add(number);
            AtMost(numbers.Count, MostInterfaces, "network interfaces");
        }
        reader.Exit();
        return numbers.ToImmutable();
    }

    private static void AtMost(int count, int most, string what)
    {
        if (count > most)
        {
            throw new BusFormatException($"too many {what}");
        }
    }
}

/// <summary>A machine of ListMachines.</summary>
internal sealed record ListedMachine(string Name, string Class, string Service, string Path);

/// <summary>Our end of a terminal, and its path in the machine.</summary>
internal sealed record OpenTerminal(SafeFileHandle File, string Path) : IDisposable
{
    public void Dispose() => File.Dispose();
}

/// <summary>A user or group of the host as one of a machine.</summary>
internal sealed record MappedId(string Machine, string Path, uint Inner);

/// <summary>Every property of a machine. Timestamps are microseconds. SOURCE: org.freedesktop.machine1(5), "Machine Objects".</summary>
internal sealed record MachineProperties
{
    public string Name { get; init; } = "";
    public Guid? Id { get; init; }
    public ulong Timestamp { get; init; }
    public ulong TimestampMonotonic { get; init; }
    public string Service { get; init; } = "";
    public string Unit { get; init; } = "";
    public uint Leader { get; init; }
    public string Class { get; init; } = "";
    public string RootDirectory { get; init; } = "";
    public ImmutableArray<int> NetworkInterfaces { get; init; } = [];
    public string State { get; init; } = "";
}
