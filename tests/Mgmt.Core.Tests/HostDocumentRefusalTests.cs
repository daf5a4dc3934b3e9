using System.Text;

namespace Mgmt.Core.Tests;

public sealed class HostDocumentRefusalTests
{
    private const string Volume = """ "vid": "v", "size": 1, "rw": true, "save_on_stop": true, "snap_on_start": false """;

    private static readonly (string Document, string Path, string Reason)[] Documents =
    [
        ("", "$:", "not JSON"),
        ("{} {}", "$:", "not JSON"),
        ("[]", "$:", "must be an object"),
        ("""{ "a": {}, }""", "$.a:", "not known"),
        ("""{ "pools": {}, "pools": {} }""", "$.pools:", "twice"),
        ("""{ "pools": [] }""", "$.pools:", "must be an object"),
        ("""{ "pools": { "-p": { "driver": "qcow2" } } }""", "$.pools.-p:", "illegal"),
        ("""{ "pools": { "p": {} } }""", "$.pools.p.driver:", "is missing"),
        ("""{ "pools": { "p.q": { "driver": 1 } } }""", "$.pools['p.q'].driver:", "must be a string"),
        ("""{ "pools": { "p": { "driver": "d", "config": { "k": 1 } } } }""", "$.pools.p.config.k:", "must be a string"),
        ("""{ "labels": { "red": { "index": 1, "color": "red" } } }""", "$.labels.red.color:", "0xRRGGBB"),
        ("""{ "labels": { "red": { "index": 1.5, "color": "0x000000" } } }""", "$.labels.red.index:", "whole number"),
        ("""{ "labels": { "a": { "index": 9, "color": "0x000000" }, "b": { "index": 9, "color": "0x000000" } } }""", "$.labels.b.index:", "another label"),
        ("""{ "labels": { "12": { "index": 1, "color": "0x000000" } } }""", "$.labels.12:", "Not a label name"),
        ("""{ "devices": { "tape": {} } }""", "$.devices.tape:", "No such device class"),
        ("""{ "devices": { "block": { "_": {} } } }""", "$.devices.block._:", "not a port"),
        ("""{ "devices": { "block": { "sda": { "size": -1 } } } }""", "$.devices.block.sda.size:", "whole number"),
        ("""{ "devices": { "usb": { "1-2": { "interfaces": ["u03"] } } } }""", "$.devices.usb.1-2.interfaces[0]:", "not the code"),
        (Vm("""  "class": "AppVM", "devices": { "block": { "sda": { "mode": "required" } } } """), "$.vms.a.devices.block.sda:", "BACKEND+PORT"),
        (Vm("""  "class": "AppVM", "devices": { "block": { "dom0+sda": { "mode": "manual" } } } """), "$.vms.a.devices.block['dom0+sda'].mode:", "Unknown mode"),
        (Vm("""  "class": "AppVM", "devices": { "usb": { "dom0+1-2": { "mode": "required", "options": { "ro": "1" } } } } """), "$.vms.a.devices.usb['dom0+1-2']:", "no such option"),
        (Vm("""  "class": "AppVM", "devices": { "block": { "gone+root": { "mode": "required" } } } """), "$.vms.a.devices.block['gone+root']:", "no such VM"),
        ("""{ "properties": { "Default": "x" } }""", "$.properties.Default:", "not a property name"),
        ("""{ "properties": { "default_netvm": "x" } }""", "$.properties.default_netvm:", "no such VM"),
        ("""{ "properties": { "default_template": "dom0" } }""", "$.properties.default_template:", "no TemplateVM"),
        ("""{ "properties": { "default_pool": "x" } }""", "$.properties.default_pool:", "no such pool"),
        ("""{ "properties": { "default_user": "\ud800" } }""", "$.properties.default_user:", "not valid Unicode"),
        ("""{ "properties": { "\ud800": "" } }""", "$.properties:", "not valid Unicode"),
        (Vm("""  "class": "Appvm" """), "$.vms.a.class:", "not a class"),
        (Vm("""  "class": "0" """), "$.vms.a.class:", "not a class"),
        (Vm("""  "class": "AdminVM" """), "$.vms.a.class:", "only dom0"),
        ("""{ "vms": { "dom0": { "class": "AppVM" } } }""", "$.vms.dom0.class:", "only dom0"),
        ("""{ "vms": { "dom0": { "class": "AdminVM", "behaviour": {} } } }""", "$.vms.dom0.behaviour:", "none"),
        ("""{ "vms": { "dom0": { "class": "AdminVM", "state": "Halted" } } }""", "$.vms.dom0.state:", "Halted or Running"),
        ("""{ "vms": { "9": { "class": "AppVM" } } }""", "$.vms.9:", "cannot start"),
        (Vm("""  "class": "AppVM", "memory": 1 """), "$.vms.a.memory:", "not known"),
        (Vm("""  "class": "AppVM", "qid": 0 """), "$.vms.a.qid:", "whole number"),
        (Vm("""  "class": "AppVM", "qid": 3 """, """ "class": "AppVM", "qid": 3 """), "$.vms.b.qid:", "another VM"),
        (Vm("""  "class": "AppVM", "uuid": "x" """), "$.vms.a.uuid:", "must be a UUID"),
        (Vm("""  "class": "AppVM", "uuid": "00000000-0000-0000-0000-000000000000" """), "$.vms.a.uuid:", "dom0"),
        (Vm("""  "class": "AppVM", "uuid": "5e7ab1e0-0000-4000-8000-000000000007" """, """ "class": "AppVM", "uuid": "5e7ab1e0-0000-4000-8000-000000000007" """), "$.vms.b.uuid:", "another VM"),
        (Vm("""  "class": "AppVM", "state": "Paused" """), "$.vms.a.state:", "Halted or Running"),
        (Vm("""  "class": "AppVM", "properties": { "template": "b" } """), "$.vms.a.properties.template:", "no such VM"),
        (Vm("""  "class": "AppVM", "properties": { "template": "b" } """, """ "class": "AppVM" """), "$.vms.a.properties.template:", "no TemplateVM"),
        (Vm("""  "class": "DispVM", "properties": { "template": "b" } """, """ "class": "TemplateVM" """), "$.vms.a.properties.template:", "no AppVM"),
        (Vm("""  "class": "AppVM", "properties": { "netvm": "none" } """), "$.vms.a.properties.netvm:", "no such VM"),
        (Vm("""  "class": "AppVM", "properties": { "label": "pink" } """), "$.vms.a.properties.label:", "no such label"),
        (Vm("""  "class": "AppVM", "properties": { "debug": true } """), "$.vms.a.properties.debug:", "must be a string"),
        (Vm("""  "class": "AppVM", "features": { "a b": "" } """), "$.vms.a.features['a b']:", "illegal"),
        (Vm("""  "class": "AppVM", "features": { "f": "\n" } """), "$.vms.a.features.f:", "printable"),
        (Vm("""  "class": "AppVM", "tags": ["t", "t"] """), "$.vms.a.tags[1]:", "twice"),
        (Vm("""  "class": "AppVM", "tags": {} """), "$.vms.a.tags:", "must be an array"),
        (Vm("""  "class": "AppVM", "tags": ["a.b"] """), "$.vms.a.tags[0]:", "disallowed"),
        (Vm("""  "class": "RemoteVM", "volumes": { "root": {} } """), "$.vms.a.volumes.root:", "no volumes"),
        (Vm("""  "class": "AppVM", "volumes": { "rooot": { "pool": "p", """ + Volume + "} }"), "$.vms.a.volumes.rooot:", "No such volume"),
        (Vm("""  "class": "AppVM", "volumes": { "root": { "pool": "p", """ + Volume + "} }"), "$.vms.a.volumes.root.pool:", "no such pool"),
        (Disk(Volume.Replace("\"v\"", "\"../v\"", StringComparison.Ordinal)), "$.vms.a.volumes.root.vid:", "illegal"),
        (Disk(Volume.Replace("\"v\"", "null", StringComparison.Ordinal)), "$.vms.a.volumes.root.vid:", "only a kernel"),
        (Disk(Volume.Replace("1,", "-1,", StringComparison.Ordinal)), "$.vms.a.volumes.root.size:", "whole number"),
        (Disk(Volume + """, "source": "w" """), "$.vms.a.volumes.root.source:", "no other has one"),
        (Disk(Volume.Replace("false", "true", StringComparison.Ordinal)), "$.vms.a.volumes.root.source:", "has a source"),
        (Disk(Volume.Replace("false", "true", StringComparison.Ordinal) + """, "source": "w" """), "$.vms.a.volumes.root.source:", "no such other volume"),
        (Disk(Volume + """}, "private": { "pool": "p", """ + Volume), "$.vms.a.volumes.private.vid:", "another volume"),
        ("""{ "behaviour": { "delays": { "agent": -1 } } }""", "$.behaviour.delays.agent:", "whole number"),
        ("""{ "behaviour": { "delays": { "boot": 1 } } }""", "$.behaviour.delays.boot:", "not known"),
        ("""{ "behaviour": { "faults": { "launch": "no" } } }""", "$.behaviour.faults.launch:", "fails: "),
        ("""{ "behaviour": { "faults": { "shutdown": "slow" } } }""", "$.behaviour.faults.shutdown:", "ignored"),
        ("""{ "behaviour": { "faults": { "agent": "gone" } } }""", "$.behaviour.faults.agent:", "silent"),
        ("""{ "behaviour": { "faults": { "machined": "A" } } }""", "$.behaviour.faults.machined:", "word"),
        ("""{ "behaviour": { "faults": { "storage": { "create": "" } } } }""", "$.behaviour.faults.storage.create:", "message"),
        ("""{ "behaviour": { "faults": { "storage": { "no-space": 1 } } } }""", "$.behaviour.faults.storage.no-space:", "true or false"),
    ];

    private static IEnumerable<TestCaseData> Cases => Documents.Select((d, i) => new TestCaseData(d.Document, d.Path, d.Reason).SetArgDisplayNames($"{i}", d.Path));

    [TestCaseSource(nameof(Cases))]
    public void A_bad_document_is_refused_naming_the_path(string document, string path, string reason)
    {
        var error = Assert.Throws<MgmtException>(() => HostDocument.Read(Encoding.UTF8.GetBytes(document)));
        Assert.Multiple(() =>
        {
            Assert.That(error.Code, Is.EqualTo(ErrorCode.QubesValueError));
            Assert.That(error.Message, Does.Contain($", {path} ").And.Contain(reason));
        });
    }

    [Test]
    public void A_document_nested_too_deeply_is_refused() =>
        Assert.That(
            () => HostDocument.Read(Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("{\"a\":", 100_000)))),
            Throws.TypeOf<MgmtException>().With.Message.Contains("deeply"));

    [Test]
    public void A_hostile_name_is_cut_and_made_printable()
    {
        var name = "\\u001b[31m" + new string('x', 5000);
        var error = Assert.Throws<MgmtException>(() => HostDocument.Read(Encoding.UTF8.GetBytes($$"""{ "{{name}}": 1 }""")));
        Assert.That(error.Message, Has.Length.LessThan(200).And.Not.Contain("\u001b"));
    }

    private static string Vm(string a, string? b = null) => $$"""{ "vms": { "a": { {{a}} }{{(b is null ? "" : $", \"b\": {{ {b} }}")}} } }""";

    private static string Disk(string volume) =>
        $$"""{ "pools": { "p": { "driver": "qcow2" } }, "vms": { "a": { "class": "AppVM", "volumes": { "root": { "pool": "p", {{volume}} } } } } }""";
}
