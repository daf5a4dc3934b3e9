using System.Collections.Immutable;
using Mgmt.Core;

namespace Mgmt.TestHost;

/// <summary>A host in memory, ready to be used as a backend. SOURCE: docs/test-host.md.</summary>
public sealed class TestHostDefinition
{
    private const string Prefix = "test://";
    private const string DefaultPath = "/default";

    private TestHostDefinition(string uri, HostDocumentContent content, TimeProvider time)
    {
        Seed = content.Seed;
        Started = content.Started;
        Behaviour = content.Behaviour;
        Devices = new TestDevices(content.Devices);
        Machines = new TestMachineRegistry(content.Behaviour, time);
        Backend = new TestVmBackend(uri, content.Behaviour, Machines, time);
        var drivers = content.Seed.Pools.Select(pool => pool.Driver).Append(TestPoolDriver.KernelDriver).Distinct(StringComparer.Ordinal);
        Drivers = [.. drivers.Order(StringComparer.Ordinal).Select(name => new TestPoolDriver(name, content.Seed, content.Behaviour, time))];
    }

    /// <summary>What a new store starts with.</summary>
    public HostSeed Seed { get; }

    /// <summary>The VMs to start when the host comes up, sorted.</summary>
    public ImmutableArray<VmName> Started { get; }

    /// <summary>How the VMs behave.</summary>
    public TestBehaviour Behaviour { get; }

    /// <summary>Makes the VMs run.</summary>
    public TestVmBackend Backend { get; }

    /// <summary>The registry of machines, in memory too.</summary>
    public TestMachineRegistry Machines { get; }

    /// <summary>Its devices, in memory too.</summary>
    public TestDevices Devices { get; }

    /// <summary>A pool driver for each driver the document names, and <c>linux-kernel</c>; sorted by name.</summary>
    public ImmutableArray<IPoolDriver> Drivers { get; }

    /// <summary>
    /// The host of a URI: <c>test:///default</c> is the built-in one, <c>test:///path/to/file.json</c> reads that file.
    /// ERRORS: QubesValueError (not such a URI, a file that cannot be read, a document that is refused).
    /// </summary>
    public static TestHostDefinition Load(string uri) => Load(uri, TimeProvider.System);

    /// <summary>As above, with a clock of the caller's.</summary>
    public static TestHostDefinition Load(string uri, TimeProvider time)
    {
        if (!uri.StartsWith(Prefix + "/", StringComparison.Ordinal))
        {
            throw new MgmtException(ErrorCode.QubesValueError, "Not the URI of a test host: %s (test:///default or test:///path/to/file.json)", uri);
        }
        var path = uri[Prefix.Length..];
        return FromDocument(uri, path == DefaultPath ? DefaultDocument() : ReadFile(path), time);
    }

    /// <summary>The host of a document, UTF-8. ERRORS: QubesValueError.</summary>
    public static TestHostDefinition FromDocument(string uri, ReadOnlySpan<byte> utf8, TimeProvider time) => new(uri, HostDocument.Read(utf8), time);

    private static byte[] DefaultDocument()
    {
        using var stream = typeof(TestHostDefinition).Assembly.GetManifestResourceStream("default-host.json")!;
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }

    private static byte[] ReadFile(string path)
    {
        try
        {
            using var stream = File.OpenRead(path);
            using var bytes = new MemoryStream();
            var buffer = new byte[64 * 1024];
            // A file that is too long, or has no end, is read a little past the limit and then refused.
            while (bytes.Length <= HostDocument.MaxBytes && stream.Read(buffer) is > 0 and var count)
            {
                bytes.Write(buffer, 0, count);
            }
            return bytes.ToArray();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new MgmtException(error, ErrorCode.QubesValueError, "Cannot read the host document %s: %s", path, error.GetType().Name);
        }
    }
}
