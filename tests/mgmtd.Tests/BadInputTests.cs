using System.Net.Sockets;
using System.Text;
using Mgmt.Core;
using Mgmt.Testing;
using Mgmt.Wire;

namespace Mgmt.Daemon.Tests;

/// <summary>Whatever comes, the answer is an EXCEPTION, nothing changes, and the next call is served.</summary>
public sealed class BadInputTests : DaemonFixture
{
    private string _before = "";

    protected override DaemonOptions Options => new() { Config = """{ "request-deadline-s": 1 }""" };

    public static IEnumerable<TestCaseData> Frames =>
    [
        new TestCaseData("").SetArgDisplayNames("nothing"),
        new TestCaseData("\0").SetArgDisplayNames("only a NUL"),
        new TestCaseData("mgmt.vm.List dom0 name dom0").SetArgDisplayNames("no NUL"),
        new TestCaseData("mgmt.vm.List dom0 name\0").SetArgDisplayNames("a field missing"),
        new TestCaseData("mgmt.vm.List dom0 name dom0 more\0").SetArgDisplayNames("a field too many"),
        new TestCaseData("mgmt.vm.List  dom0 name dom0\0").SetArgDisplayNames("two spaces"),
        new TestCaseData(" mgmt.vm.List dom0 name dom0\0").SetArgDisplayNames("a space in front"),
        new TestCaseData("mgmt.vm.List\tdom0 name dom0\0").SetArgDisplayNames("a tab"),
        new TestCaseData("mgmt.vm.List\ndom0 name dom0\0").SetArgDisplayNames("a newline"),
        new TestCaseData("mgmt.vm.List dom0 host dom0\0").SetArgDisplayNames("an unknown kind"),
        new TestCaseData("mgmt.vm.List dom0 keyword everyone\0").SetArgDisplayNames("an unknown keyword"),
        new TestCaseData("mgmt.vm.List+w\u00f6rk dom0 name dom0\0").SetArgDisplayNames("an argument not ASCII"),
        new TestCaseData("mgmt.vm.List dom0 name w\u00f6rk\0").SetArgDisplayNames("a destination not ASCII"),
        new TestCaseData("mgmt.vm.List+a/b dom0 name dom0\0").SetArgDisplayNames("a slash in the argument"),
        new TestCaseData("mgmt.vm.List dom0\0mgmt.vm.List\0dom0\0").SetArgDisplayNames("the framing of old"),
        new TestCaseData(new string('x', 5000)).SetArgDisplayNames("a header without end"),
        new TestCaseData("mgmt.vm.List+" + new string('x', 4090) + " dom0 name dom0\0").SetArgDisplayNames("a header too long"),
        new TestCaseData(new string('\0', 1 << 20)).SetArgDisplayNames("a MiB of zeros"),
        new TestCaseData("mgmt.vm.property.Set+kernelopts dom0 name work\0" + new string('x', 65536)).SetArgDisplayNames("more than 64 KiB"),
        new TestCaseData("mgmt.vm.Nonsense dom0 name dom0\0").SetArgDisplayNames("an unknown call"),
        new TestCaseData("vm.List dom0 name dom0\0").SetArgDisplayNames("a call without its prefix"),
        new TestCaseData("Mgmt.vm.List dom0 name dom0\0").SetArgDisplayNames("a prefix in capitals"),
        new TestCaseData("admin.Status dom0 name dom0\0").SetArgDisplayNames("a call of the other dialect"),
        new TestCaseData("mgmt.vm.Start dom0 name work\0payload").SetArgDisplayNames("a payload where none is taken"),
        new TestCaseData("mgmt.label.Create+new dom0 name dom0\0").SetArgDisplayNames("no payload where one is needed"),
        new TestCaseData("mgmt.vm.Start+now dom0 name work\0").SetArgDisplayNames("an argument where none is taken"),
        new TestCaseData("mgmt.vm.property.Get dom0 name work\0").SetArgDisplayNames("no argument where one is needed"),
        new TestCaseData("admin.vm.List+work dom0 name dom0\0").SetArgDisplayNames("an entry of a list in admin"),
        new TestCaseData("admin.Events dom0 name dom0\0cursor=yes").SetArgDisplayNames("a filter in admin"),
        new TestCaseData("mgmt.Events dom0 name dom0\0since=then").SetArgDisplayNames("a filter that is none"),
        new TestCaseData("mgmt.label.List dom0 name work\0").SetArgDisplayNames("a VM where dom0 is needed"),
        new TestCaseData("mgmt.vm.Remove dom0 name dom0\0").SetArgDisplayNames("dom0 where a VM is needed"),
        new TestCaseData("mgmt.vm.Start dom0 name @dispvm\0").SetArgDisplayNames("a disposable"),
        new TestCaseData("mgmt.vm.Shutdown+soon dom0 name work\0").SetArgDisplayNames("a word that the argument does not know"),
        new TestCaseData("mgmt.vm.Create.AppVM+debian dom0 name dom0\0name=x").SetArgDisplayNames("a key missing"),
        new TestCaseData("mgmt.vm.Create.AppVM+debian dom0 name dom0\0name=x label=red color=blue").SetArgDisplayNames("an unknown key"),
        new TestCaseData("mgmt.vm.Create.AppVM+debian dom0 name dom0\0name=x  label=red").SetArgDisplayNames("two spaces between keys"),
        new TestCaseData("mgmt.vm.Create.AppVM+debian dom0 name dom0\0name=x name=y label=red").SetArgDisplayNames("a key twice"),
        new TestCaseData("mgmt.vm.Create.StandaloneVM+debian dom0 name dom0\0name=x label=red").SetArgDisplayNames("a template where none is taken"),
        new TestCaseData("mgmt.vm.CreateInPool.AppVM+debian dom0 name dom0\0name=x label=red pool=default pool:private=default").SetArgDisplayNames("both forms of pools"),
        new TestCaseData("mgmt.vm.CreateTemplate+x dom0 name dom0\0x").SetArgDisplayNames("a streamed call without its size"),
        new TestCaseData("mgmt.label.Remove+red dom0 name dom0\0").SetArgDisplayNames("removing a label that is built in"),
    ];

    public static IEnumerable<TestCaseData> Values =>
    [
        Case(ErrorCode.QubesVMNotFoundError, "vm.Start", "nobody"),
        Case(ErrorCode.QubesVMNotFoundError, "vm.List", "nobody"),
        Case(ErrorCode.QubesVMNotFoundError, "vm.List", "dom0", "nobody"),
        Case(ErrorCode.QubesVMNotFoundError, "vm.List", "uuid:5e7ab1e0-0000-4000-8000-00000000ffff"),
        Case(ErrorCode.QubesVMInvalidUUIDError, "vm.List", "uuid:5E7AB1E0-0000-4000-8000-000000000004"),
        Case(ErrorCode.QubesVMInvalidUUIDError, "vm.List", "uuid:nothing"),
        Case(ErrorCode.QubesValueError, "vm.List", "1work"),
        Case(ErrorCode.QubesValueError, "vm.List", "-work"),
        Case(ErrorCode.QubesValueError, "vm.List", "none"),
        Case(ErrorCode.QubesValueError, "vm.List", "Domain-0"),
        Case(ErrorCode.QubesValueError, "vm.List", "work-dm"),
        Case(ErrorCode.QubesValueError, "vm.List", "wo/rk"),
        Case(ErrorCode.QubesValueError, "vm.List", "a2345678901234567890123456789012"),
        Case(ErrorCode.QubesValueError, "vm.Create.AppVM", "dom0", "debian", "name=1x label=red"),
        Case(ErrorCode.QubesValueError, "vm.Create.AppVM", "dom0", "debian", "name=default label=red"),
        Case(ErrorCode.QubesValueError, "vm.Create.AppVM", "dom0", "debian", "name= label=red"),
        Case(ErrorCode.QubesValueError, "vm.Create.AppVM", "dom0", "debian", "name=w\u00f6rk label=red"),
        Case(ErrorCode.QubesInvalidLabelError, "vm.Create.AppVM", "dom0", "debian", "name=x label=r/d"),
        Case(ErrorCode.QubesLabelNotFoundError, "vm.Create.AppVM", "dom0", "debian", "name=x label=pink"),
        Case(ErrorCode.QubesVMAlreadyExistsError, "vm.Create.AppVM", "dom0", "debian", "name=work label=red"),
        Case(ErrorCode.QubesVMAlreadyExistsError, "vm.Create.AppVM", "dom0", "debian", "name=dom0 label=red"),
        Case(ErrorCode.QubesPropertyValueError, "vm.Create.AppVM", "dom0", "work", "name=x label=red"),
        Case(ErrorCode.QubesPropertyValueError, "vm.Create.AppVM", "dom0", "nobody", "name=x label=red"),
        Case(ErrorCode.QubesPropertyValueError, "vm.Create.DispVM", "dom0", "work", "name=x label=red"),
        Case(ErrorCode.QubesPoolNotFoundError, "vm.CreateInPool.AppVM", "dom0", "debian", "name=x label=red pool=nowhere"),
        Case(ErrorCode.QubesException, "vm.CreateInPool.AppVM", "dom0", "debian", "name=x label=red pool:root=linux-kernel"),
        Case(ErrorCode.QubesValueError, "vm.CreateTemplate", "dom0", "x+0512", new string('x', 512)),
        Case(ErrorCode.QubesValueError, "vm.CreateTemplate", "dom0", "x+511", new string('x', 511)),
        Case(ErrorCode.QubesValueError, "vm.CreateTemplate", "dom0", "x+-512", "x"),
        Case(ErrorCode.QubesValueError, "vm.CreateTemplate", "dom0", "x+99999999999999999999", "x"),
        Case(ErrorCode.QubesInvalidLabelError, "label.Create", "dom0", "123", "0x112233"),
        Case(ErrorCode.QubesInvalidLabelValueError, "label.Create", "dom0", "new", "112233"),
        Case(ErrorCode.QubesInvalidLabelValueError, "label.Create", "dom0", "new", "0x11223g"),
        Case(ErrorCode.QubesValueError, "label.Create", "dom0", "red", "0x112233"),
        Case(ErrorCode.QubesLabelNotFoundError, "label.Get", "dom0", "pink"),
        Case(ErrorCode.QubesLabelNotFoundError, "label.Remove", "dom0", "pink"),
        Case(ErrorCode.QubesNoSuchPropertyError, "vm.property.Get", "work", "no_such"),
        Case(ErrorCode.QubesNoSuchPropertyError, "vm.property.Set", "debian", "template", "debian"),
        Case(ErrorCode.QubesNoSuchPropertyError, "property.Get", "dom0", "memory"),
        Case(ErrorCode.QubesValueError, "vm.property.Set", "work", "memory", "lots"),
        Case(ErrorCode.QubesPropertyValueError, "vm.property.Set", "work", "memory", "0"),
        Case(ErrorCode.QubesPropertyValueError, "vm.property.Set", "work", "memory", "-1"),
        Case(ErrorCode.QubesValueError, "vm.property.Set", "work", "memory", "99999999999999999999"),
        Case(ErrorCode.QubesValueError, "vm.property.Set", "work", "memory", ""),
        Case(ErrorCode.QubesPropertyValueError, "vm.property.Set", "work", "vcpus", "256"),
        Case(ErrorCode.QubesPropertyValueError, "vm.property.Set", "work", "netvm", "vault"),
        Case(ErrorCode.QubesPropertyValueError, "vm.property.Set", "work", "netvm", "nobody"),
        Case(ErrorCode.QubesPropertyValueError, "vm.property.Set", "sys-net", "netvm", "sys-net"),
        Case(ErrorCode.QubesPropertyValueError, "vm.property.Set", "sys-net", "provides_network", "False"),
        Case(ErrorCode.QubesPropertyValueError, "vm.property.Set", "work", "kernel", "7.0"),
        Case(ErrorCode.QubesPropertyValueError, "vm.property.Set", "work", "kernelopts", "a\nb"),
        Case(ErrorCode.QubesPropertyValueError, "vm.property.Set", "work", "ip", "10.0.0.256"),
        Case(ErrorCode.QubesPropertyValueError, "vm.property.Set", "work", "mac", "01:00:00:00:00:00"),
        Case(ErrorCode.QubesPropertyValueError, "vm.property.Set", "work", "name", "other"),
        Case(ErrorCode.QubesPropertyValueError, "vm.property.Set", "work", "qid", "77"),
        Case(ErrorCode.QubesPropertyValueError, "vm.property.Set", "work", "klass", "AppVM"),
        Case(ErrorCode.QubesPropertyValueError, "vm.property.Set", "work", "virt_mode", "pv"),
        Case(ErrorCode.QubesPropertyValueError, "vm.property.Set", "work", "template", "vault"),
        Case(ErrorCode.QubesPropertyValueError, "vm.property.Reset", "work", "template"),
        Case(ErrorCode.QubesPropertyValueError, "vm.property.Reset", "work", "label"),
        Case(ErrorCode.QubesLabelNotFoundError, "vm.property.Set", "work", "label", "pink"),
        Case(ErrorCode.QubesValueError, "vm.property.Set", "work", "autostart", "maybe"),
        Case(ErrorCode.QubesValueError, "vm.property.Set", "work", "kernelopts", "\u00e9"),
        Case(ErrorCode.QubesPoolNotFoundError, "property.Set", "dom0", "default_pool", "nowhere"),
        Case(ErrorCode.QubesPropertyValueError, "property.Set", "dom0", "default_netvm", "vault"),
        Case(ErrorCode.QubesPropertyValueError, "property.Set", "dom0", "maxmem", "1"),
        Case(ErrorCode.QubesFeatureNotFoundError, "vm.feature.Get", "work", "no-such"),
        Case(ErrorCode.QubesFeatureNotFoundError, "vm.feature.CheckWithTemplate", "work", "no-such"),
        Case(ErrorCode.QubesFeatureNotFoundError, "vm.feature.Remove", "work", "no-such"),
        Case(ErrorCode.QubesValueError, "vm.feature.Set", "work", "a+b", "1"),
        Case(ErrorCode.QubesValueError, "vm.feature.Set", "work", "gui", "a\tb"),
        Case(ErrorCode.QubesValueError, "vm.feature.Set", "work", "gui", "\u00e9"),
        Case(ErrorCode.QubesInvalidTagError, "vm.tag.Set", "work", "a.b"),
        Case(ErrorCode.QubesTagNotFoundError, "vm.tag.Remove", "work", "absent"),
        Case(ErrorCode.QubesVolumeNotFoundError, "vm.volume.Info", "work", "swap"),
        Case(ErrorCode.QubesVolumeNotFoundError, "vm.volume.Info", "dom0", "root"),
        Case(ErrorCode.QubesPoolNotFoundError, "pool.Info", "dom0", "nowhere"),
        Case(ErrorCode.QubesPoolNotFoundError, "pool.ListDrivers", "dom0", "nowhere"),
        Case(ErrorCode.QubesVMInUseError, "vm.Remove", "debian"),
        Case(ErrorCode.QubesVMInUseError, "vm.Remove", "sys-net"),
        Case(ErrorCode.QubesVMNotStartedError, "vm.Kill", "work"),
        Case(ErrorCode.QubesVMNotStartedError, "vm.Kill", "dom0"),
        Case(ErrorCode.QubesVMNotStartedError, "vm.Shutdown", "work"),
        Case(ErrorCode.QubesVMNotStartedError, "vm.Pause", "work"),
        Case(ErrorCode.QubesVMNotStartedError, "vm.Unpause", "work"),
        Case(ErrorCode.QubesVMNotHaltedError, "vm.Start", "dom0"),
        Case(ErrorCode.QubesVMNotStartedError, "vm.agent.Info", "work"),
        Case(ErrorCode.QubesValueError, "call.Cancel", "dom0", "999999"),
        Case(ErrorCode.QubesValueError, "call.Cancel", "dom0", "one"),
        Case(ErrorCode.QubesValueError, "vmclass.List", "dom0", "appvm"),
    ];

    [SetUp]
    public async Task Before() => _before = await Daemon.ExportAsync();

    [TearDown]
    public async Task After() => Assert.That(await Daemon.ExportAsync(), Is.EqualTo(_before), "something changed");

    [TestCaseSource(nameof(Frames))]
    public async Task What_does_not_fit_is_a_ProtocolError(string bytes)
    {
        var reply = ReplyParser.Parse(await Daemon.SendRawAsync(bytes));
        Assert.That(reply, Is.InstanceOf<Reply.Failure>());
        Assert.That(((Reply.Failure)reply).Type, Is.EqualTo("ProtocolError"), ((Reply.Failure)reply).Message);
    }

    [TestCaseSource(nameof(Values))]
    public async Task A_bad_value_is_refused_with_its_type(ErrorCode code, string call, string destination, string argument, string payload)
    {
        var failure = await Daemon.RefusedAsync(code, "mgmt." + call, destination, argument, payload);
        Assert.That(failure.Traceback, Is.Empty);
        Assert.That(failure.Template.Replace("%s", "", StringComparison.Ordinal).Replace("%%", "", StringComparison.Ordinal), Does.Not.Contain("%"));
    }

    [Test]
    public async Task Any_bytes_get_an_answer()
    {
        var random = new Random(20260101);
        for (var i = 0; i < 200; i++)
        {
            var bytes = new byte[random.Next(1, 300)];
            random.NextBytes(bytes);
            Assert.That(ReplyParser.Parse(await Daemon.SendRawAsync(bytes)), Is.InstanceOf<Reply.Failure>());
        }
    }

    [Test]
    public async Task A_client_that_never_half_closes_is_told_after_the_deadline()
    {
        var reply = (Reply.Failure)ReplyParser.Parse(await Daemon.SendRawAsync("mgmt.vm.List dom0 name dom0\0"u8.ToArray(), halfClose: false));
        Assert.That(reply.Type, Is.EqualTo("MgmtTimeoutError"));
    }

    [Test]
    public async Task A_change_whose_caller_is_gone_is_not_made()
    {
        for (var i = 0; i < 20; i++)
        {
            using var socket = await Daemon.ConnectAsync();
            await socket.SendAsync("mgmt.vm.property.Set+memory dom0 name work\00"u8.ToArray());
        }
        await Daemon.OkAsync("mgmt.Info");
    }

    [Test]
    public async Task A_thousand_silent_clients_do_not_delay_a_call()
    {
        var silent = new List<Socket>();
        try
        {
            for (var i = 0; i < 1000; i++)
            {
                silent.Add(await Daemon.ConnectAsync());
            }
            var began = Environment.TickCount64;
            await Daemon.OkAsync("mgmt.vm.List");
            Assert.That(Environment.TickCount64 - began, Is.LessThan(2000));
        }
        finally
        {
            silent.ForEach(s => s.Dispose());
        }
    }

    [TestCase(511)]
    [TestCase(513)]
    public async Task A_stream_of_another_size_than_was_said_changes_nothing(int bytes)
    {
        var reply = await Daemon.CallAsync("mgmt.vm.CreateTemplate", "dom0", "made+512", new string('x', bytes));
        Assert.That(reply, Is.InstanceOf<Reply.Failure>());
        await Daemon.RefusedAsync(ErrorCode.QubesVMNotFoundError, "mgmt.vm.List", "made");
    }

    [Test]
    public async Task The_largest_request_is_taken()
    {
        const string Header = "mgmt.Events dom0 name dom0\0";
        var bytes = Encoding.ASCII.GetBytes(Header + new string('x', 65536 - Header.Length));
        var failure = (Reply.Failure)ReplyParser.Parse(await Daemon.SendRawAsync(bytes));
        Assert.That(failure.Message, Does.StartWith("Event filter"));
    }

    private static TestCaseData Case(ErrorCode code, string call, string destination, string argument = "", string payload = "") =>
        new TestCaseData(code, call, destination, argument, payload).SetArgDisplayNames(code.ToString(), call, destination, argument.Length > 40 ? "..." : argument, payload.Length > 40 ? "..." : payload);
}
