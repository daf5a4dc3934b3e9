using System.Buffers;
using System.Collections.Immutable;
using System.Text;
using Mgmt.Core;

namespace Mgmt.TestHost.Tests;

public sealed class DefinitionTests
{
    [Test]
    public void The_default_host_is_as_documented()
    {
        var host = TestHostDefinition.Load("test:///default");
        var vms = host.Seed.Vms.ToDictionary(vm => vm.Name.Value);
        Assert.Multiple(() =>
        {
            Assert.That(host.Seed.Vms.Select(vm => $"{vm.Qid} {vm.Name} {vm.Class}"), Is.EqualTo(new[] { "0 dom0 AdminVM", "1 debian TemplateVM", "2 sys-net AppVM", "3 work AppVM", "4 vault AppVM" }));
            Assert.That(host.Seed.Labels, Is.EqualTo(HostSeed.DefaultLabels));
            Assert.That(host.Seed.Pools.Select(pool => $"{pool.Name} {pool.Driver}"), Is.EqualTo(new[] { "default qcow2", "linux-kernel linux-kernel" }));
            Assert.That(vms["work"].Property("netvm"), Is.EqualTo("sys-net"));
            Assert.That(vms["vault"].Property("netvm"), Is.Empty);
            Assert.That(vms["sys-net"].Property("provides_network"), Is.EqualTo("True"));
            Assert.That(vms["work"].Volumes[VolumeName.Root].Source, Is.EqualTo(vms["debian"].Volumes[VolumeName.Root].Vid));
            Assert.That(vms["work"].Volumes[VolumeName.Kernel].Vid?.Value, Is.EqualTo("6.1"));
            Assert.That(vms["dom0"].Status.State, Is.EqualTo(VmState.Running));
            Assert.That(host.Seed.Properties["default_pool"], Is.EqualTo("default"));
            Assert.That(host.Started, Is.Empty);
            Assert.That(host.Drivers.Select(driver => driver.Name), Is.EqualTo(new[] { "linux-kernel", "qcow2" }));
            Assert.That(host.Backend.Uri, Is.EqualTo("test:///default"));
        });
    }

    [Test]
    public void The_default_host_written_and_read_again_is_the_same_host()
    {
        var seed = TestHostDefinition.Load("test:///default").Seed;
        var first = Write(seed);
        var again = HostDocument.Read(first).Seed;
        Assert.That(again.Vms.Select(vm => vm.Uuid), Is.EqualTo(seed.Vms.Select(vm => vm.Uuid)));
        Assert.That(Write(again), Is.EqualTo(first));
    }

    [Test]
    public void A_document_in_a_file_is_read()
    {
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, """{ "vms": { "only": { "class": "StandaloneVM", "state": "Running" } } }""");
            Assert.That(TestHostDefinition.Load("test://" + file).Started.Single().Value, Is.EqualTo("only"));
        }
        finally
        {
            File.Delete(file);
        }
    }

    [TestCase("qemu:///system")]
    [TestCase("test://host/default")]
    [TestCase("test:///")]
    [TestCase("test:///no/such/file.json")]
    [TestCase("test:///dev/zero")]
    public void Anything_else_is_refused(string uri) =>
        Assert.That(() => TestHostDefinition.Load(uri), Throws.TypeOf<MgmtException>().With.Property("Code").EqualTo(ErrorCode.QubesValueError));

    [TestCaseSource(nameof(Examples))]
    public void Every_example_of_the_documentation_is_a_host(string document) =>
        Assert.That(() => TestHostDefinition.FromDocument("test:///memory", Encoding.UTF8.GetBytes(document), TimeProvider.System), Throws.Nothing);

    private static byte[] Write(HostSeed seed)
    {
        var output = new ArrayBufferWriter<byte>();
        HostDocument.Write(
            new HostState
            {
                Vms = seed.Vms.ToImmutableSortedDictionary(vm => vm.Name, vm => vm),
                Labels = seed.Labels.ToImmutableSortedDictionary(label => label.Name, label => label),
                Pools = seed.Pools.ToImmutableSortedDictionary(pool => pool.Name, pool => pool),
                Properties = seed.Properties,
            },
            output);
        return output.WrittenSpan.ToArray();
    }

    private static IEnumerable<TestCaseData> Examples()
    {
        using var stream = typeof(DefinitionTests).Assembly.GetManifestResourceStream("test-host.md")!;
        using var reader = new StreamReader(stream);
        var blocks = reader.ReadToEnd().Split("```jsonc\n").Skip(1).Select(block => block[..block.IndexOf("```", StringComparison.Ordinal)]);
        return blocks.Select((block, i) => new TestCaseData(block).SetArgDisplayNames($"example {i + 1}"));
    }
}
