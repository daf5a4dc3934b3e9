using System.Globalization;
using Mgmt.Core;

namespace Mgmt.Machined.Tests;

/// <summary>
/// A method whose answer is read: what a proper answer looks like, and what is made of it; and, where there is such a thing, an answer that is too much. Files: how many open files come with it.
/// </summary>
internal sealed record HostileMethod(string Member, string Signature, Func<BusBody> Body, Func<MachinedRegistry, CancellationToken, Task<string>> Ask, string Read)
{
    private static readonly MachineTarget Web = MachineTarget.Named("web");
    private static readonly MachineRegistration New = new("web", null, "test", "vm", 4711, "", []);

    public Func<BusBody>? TooMuch { get; init; }

    public int Files { get; init; }

    /// <summary>The answer of another method that is asked first.</summary>
    public Func<BusBody>? First { get; init; }

    public string What { get; init; } = Member;

    public static IEnumerable<HostileMethod> All => [.. OfTheManager, .. OfMachines, .. OfImages, .. OfOpenFiles];

    public static IEnumerable<HostileMethod> OfOpenFiles =>
    [
        Terminal("OpenMachinePTY", (client, token) => client.OpenPtyAsync(Web, token)),
        Terminal("OpenMachineLogin", (client, token) => client.OpenLoginAsync(Web, token)),
        Terminal("OpenMachineShell", (client, token) => client.OpenShellAsync(Web, new MachineProgram("root", "/bin/sh", [], []), token)),
        Terminal("OpenPTY", (client, token) => client.OpenPtyAsync(MachineTarget.At("/m"), token)),
        new("OpenMachineRootDirectory", "h", () => new BusBody().UInt32(0), async (registry, token) =>
        {
            using var file = await registry.Client.OpenRootDirectoryAsync(Web, token);
            return file.IsInvalid ? "none" : "open";
        }, "open") { Files = 1 },
    ];

    private static IEnumerable<HostileMethod> OfTheManager =>
    [
        new("ListMachines", "a(ssso)", () => Machines(2), async (registry, token) => string.Join(' ', (await registry.Machines.ListAsync(token)).Select(machine => machine.Name)), "m0 m1") { TooMuch = () => Machines(5000) },
        Of("GetMachine", "o", () => Text("/m"), (client, token) => client.GetMachineAsync("web", token), "/m") with { TooMuch = () => Text("/" + Long) },
        Of("GetMachineByPID", "o", () => Text("/m"), (client, token) => client.GetMachineByPidAsync(4711, token), "/m"),
        Of("CreateMachineWithNetwork", "o", () => Text("/m"), (client, token) => client.CreateAsync(New, token), "/m"),
        Of("RegisterMachineWithNetwork", "o", () => Text("/m"), (client, token) => client.RegisterAsync(New, token), "/m"),
        Of("MapFromMachineUser", "u", () => new BusBody().UInt32(7), (client, token) => client.MapFromMachineAsync("web", false, 1, token), "7"),
        Of("MapFromMachineGroup", "u", () => new BusBody().UInt32(7), (client, token) => client.MapFromMachineAsync("web", true, 1, token), "7"),
        Of("MapToMachineUser", "sou", () => Text("web").Text("/m").UInt32(9), (client, token) => client.MapToMachineAsync(false, 1, token), new MappedId("web", "/m", 9).ToString()) with { TooMuch = () => Text(Long).Text("/m").UInt32(9) },
        Of("MapToMachineGroup", "sou", () => Text("web").Text("/m").UInt32(9), (client, token) => client.MapToMachineAsync(true, 1, token), new MappedId("web", "/m", 9).ToString()),
        Of("ListActivatableNames", "as", () => new BusBody().Array(4, 1, (body, _) => body.Text(MachineCalls.Machined)), (client, token) => client.AskAsync(MachineCalls.ListActivatableNames, MachineCalls.ReadHasMachined, "", token), "True"),
    ];

    private static IEnumerable<HostileMethod> OfMachines =>
    [
        Of("GetAll", "a{sv}", () => MachineProperties(1), async (client, token) => Short(await client.PropertiesAsync("/m", token)), "web 00000001 4711 3") with { TooMuch = () => MachineProperties(300), What = "the properties of a machine" },
        Of("Get", "v", () => new BusBody().Variant("ay").Bytes16(1), (client, token) => client.AskAsync(MachineCalls.GetProperty("/m", "Id"), MachineCalls.ReadId, "", token), "01010101-0101-0101-0101-010101010101") with { What = "the id of a machine", TooMuch = () => new BusBody().Variant("ay").UInt32(17).Raw(new byte[17]) },
        Of("Get", "v", () => new BusBody().Variant("u").UInt32(4711), (client, token) => client.AskAsync(MachineCalls.GetProperty("/m", "Leader"), MachineCalls.ReadLeader, "", token), "4711") with { What = "the leader of a machine" },
        Of("GetMachineAddresses", "a(iay)", () => Addresses(2), async (client, token) => string.Join(' ', await client.AddressesAsync(Web, token)), "10.0.0.0 10.0.0.1") with { TooMuch = () => Addresses(300) },
        Of("GetMachineOSRelease", "a{ss}", () => Fields(2), async (client, token) => string.Join(' ', await client.OSReleaseAsync(Web, token)), "[k0, v] [k1, v]") with { TooMuch = () => Fields(300) },
        Of("GetMachineUIDShift", "u", () => new BusBody().UInt32(7), (client, token) => client.UidShiftAsync(Web, token), "7"),
    ];

    private static IEnumerable<HostileMethod> OfImages =>
    [
        new("ListImages", "a(ssbttto)", () => Images(2), async (registry, token) => string.Join(' ', (await registry.Images.ListAsync(token)).Images.Select(image => image.Name)), "i0 i1") { TooMuch = () => Images(5000), First = () => PoolProperties(1) },
        new("GetAll", "a{sv}", () => ImageProperties(1), async (registry, token) => (await registry.Images.GetAsync("web", token)).Path!, "/i") { TooMuch = () => ImageProperties(100), First = () => Text("/i"), What = "the properties of an image" },
        new("GetAll", "a{sv}", () => PoolProperties(1), async (registry, token) => (await registry.Images.ListAsync(token)).Directory, "/p") { TooMuch = () => PoolProperties(100), First = () => Images(0), What = "the properties of the manager" },
        new("GetImage", "o", () => Text("/i"), async (registry, token) => (await registry.Images.GetAsync("web", token)).Name, "web") { First = () => ImageProperties(1) },
        Of("GetImageHostname", "s", () => Text("web"), (client, token) => client.ImageHostnameAsync("web", token), "web") with { TooMuch = () => Text(Long) },
        Of("GetImageMachineID", "ay", () => new BusBody().Bytes16(1), (client, token) => client.ImageMachineIdAsync("web", token), "01010101-0101-0101-0101-010101010101") with { TooMuch = () => new BusBody().UInt32(17).Raw(new byte[17]) },
        Of("GetImageMachineInfo", "a{ss}", () => Fields(1), async (client, token) => string.Join(' ', await client.ImageMachineInfoAsync("web", token)), "[k0, v]") with { TooMuch = () => Fields(300) },
        Of("GetImageOSRelease", "a{ss}", () => Fields(1), async (client, token) => string.Join(' ', await client.ImageOSReleaseAsync("web", token)), "[k0, v]") with { TooMuch = () => Fields(300) },
        Of("CleanPool", "a(st)", () => Cleaned(2), async (client, token) => string.Join(' ', await client.CleanPoolAsync(false, token)), "(c0, 0) (c1, 1)") with { TooMuch = () => Cleaned(5000) },
    ];

    private static string Long { get; } = new('a', 5000);

    /// <summary>The test's name.</summary>
    public override string ToString() => What;

    private static HostileMethod Of<T>(string member, string signature, Func<BusBody> body, Func<MachinedClient, CancellationToken, Task<T>> ask, string read) =>
        new(member, signature, body, async (registry, token) => Convert.ToString(await ask(registry.Client, token), CultureInfo.InvariantCulture)!, read);

    private static HostileMethod Terminal(string member, Func<MachinedClient, CancellationToken, Task<OpenTerminal>> ask) => new(member, "hs", () => new BusBody().UInt32(0).Text("pts/1"), async (registry, token) =>
    {
        using var terminal = await ask(registry.Client, token);
        return terminal.Path;
    }, "pts/1") { Files = 1, TooMuch = () => new BusBody().UInt32(0).Text(Long) };

    private static BusBody Text(string text) => new BusBody().Text(text);

    private static BusBody Machines(int count) => new BusBody().Array(8, count, (body, n) => body.Text($"m{n}").Text("container").Text("test").Text("/m"));

    private static BusBody Addresses(int count) => new BusBody().Array(8, count, (body, n) => body.UInt32(2).UInt32(4).Raw(10, 0, 0, (byte)n));

    private static BusBody Fields(int count) => new BusBody().Array(8, count, (body, n) => body.Text($"k{n}").Text("v"));

    private static BusBody Images(int count) => new BusBody().Array(8, count, (body, n) => body.Text($"i{n}").Text("raw").UInt32(1).UInt64(1).UInt64(2).UInt64(3).Text("/i"));

    private static BusBody Cleaned(int count) => new BusBody().Array(8, count, (body, n) => body.Text($"c{n}").UInt64((ulong)n));

    private static BusBody MachineProperties(int times) => new BusBody().Array(8, times, (body, _) => body
        .Property("Name", "s").Text("web").Property("Leader", "u").UInt32(4711).Property("Id", "ay").Bytes16(0).Property("Timestamp", "t").UInt64(1)
        .Property("Unknown", "s").Text("x").Property("NetworkInterfaces", "ai").Array(4, 3, (list, n) => list.UInt32((uint)n)));

    private static BusBody ImageProperties(int times) => new BusBody().Array(8, times, (body, _) => body
        .Property("Name", "s").Text("web").Property("Path", "s").Text("/i").Property("Type", "s").Text("raw").Property("ReadOnly", "b").UInt32(1).Property("Usage", "t").UInt64(5));

    private static BusBody PoolProperties(int times) => new BusBody().Array(8, times, (body, _) => body.Property("PoolPath", "s").Text("/p").Property("PoolLimit", "t").UInt64(9));

    private static string Short(MachineProperties read) => $"{read.Name} {read.Timestamp:x8} {read.Leader} {read.NetworkInterfaces.Length}";
}
