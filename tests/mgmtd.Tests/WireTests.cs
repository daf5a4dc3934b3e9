using System.Text;
using Mgmt.Api;
using Mgmt.Core;
using Mgmt.Testing;
using Mgmt.Wire;

namespace Mgmt.Daemon.Tests;

public sealed class WireTests : DaemonFixture
{
    private static readonly Dictionary<string, string> Arguments = new(StringComparer.Ordinal)
    {
        ["property"] = "label", ["feature"] = "gui", ["tag"] = "blue", ["label"] = "red", ["pool"] = "default", ["volume"] = "root", ["call"] = "1", ["profile"] = "daily", ["`preload`"] = "preload",
        ["file"] = "30-user", ["service"] = "mgmt.vm.Start", ["question"] = "0123456789abcdef0123456789abcdef", ["template"] = "debian", ["vm"] = "work", ["class"] = "AppVM", ["driver"] = "qcow2", ["`NAME+BYTES`"] = "made+512", ["`wait`, `force` or `force+wait`"] = "wait",
        ["`BACKEND+PORT`"] = "dom0+sdb", ["port"] = "sdb", ["machine"] = "web", ["application"] = "editor", ["program and arguments, encoded"] = "id",
    };

    public static IEnumerable<string> Calls => CallGroups.ForReading().Rows.Select(row => row.Name);

    [Test]
    public async Task A_request_by_hand_gets_30_00_and_its_content()
    {
        Assert.Multiple(async () =>
        {
            Assert.That(Text(await Daemon.SendRawAsync("mgmt.label.Get+red dom0 name dom0\0")), Is.EqualTo("0\00xcc0000"));
            Assert.That(Text(await Daemon.SendRawAsync("admin.label.Get+red dom0 name dom0\0")), Is.EqualTo("0\00xcc0000"));
            Assert.That(Text(await Daemon.SendRawAsync("mgmt.vm.List dom0 name vault\0")), Is.EqualTo("0\0vault class=AppVM state=Halted\n"));
            Assert.That(Text(await Daemon.SendRawAsync("mgmt.label.Index+red dom0 keyword adminvm\0")), Is.EqualTo("0\01"));
            Assert.That(Text(await Daemon.SendRawAsync("mgmt.label.Index+red dom0 keyword default\0")), Is.EqualTo("0\01"));
            Assert.That(Text(await Daemon.SendRawAsync("mgmt.vm.List dom0 name uuid:5e7ab1e0-0000-4000-8000-000000000004\0")), Is.EqualTo("0\0vault class=AppVM state=Halted\n"));
        });
    }

    [Test]
    public async Task A_call_that_only_does_something_answers_30_00_alone() =>
        Assert.That(await Daemon.CallRawAsync("mgmt.vm.tag.Set", "vault", "touched"), Is.EqualTo(new byte[] { 0x30, 0 }));

    [Test]
    public async Task An_exception_has_type_empty_traceback_template_and_fields() =>
        Assert.That(Text(await Daemon.CallRawAsync("mgmt.vm.Start", "nobody")), Is.EqualTo("2\0QubesVMNotFoundError\0\0No such domain: '%s'\0nobody\0"));

    [Test]
    public async Task A_request_that_comes_byte_by_byte_is_served()
    {
        using var socket = await Daemon.ConnectAsync();
        foreach (var b in "mgmt.label.Index+red dom0 name dom0\0"u8.ToArray())
        {
            await socket.SendAsync(new[] { b });
        }
        socket.Shutdown(System.Net.Sockets.SocketShutdown.Send);
        var buffer = new byte[16];
        Assert.That(Text(buffer.AsSpan(0, await socket.ReceiveAsync(buffer)).ToArray()), Is.EqualTo("0\01"));
    }

    [TestCaseSource(nameof(Calls))]
    public async Task Every_call_answers_whatever_it_is_asked(string name)
    {
        var row = CallGroups.ForReading().Rows.Single(r => r.Name == name);
        var destination = row.Target == CallTarget.Dom0 ? "dom0" : "nobody-there";
        var argument = row.Argument.Name is { } word ? Arguments[word] : "";
        foreach (var dialect in row.Dialects == CallDialects.Own ? [""] : new[] { "mgmt.", "admin." })
        {
            foreach (var (arg, payload) in new[] { (argument, ""), ("", ""), (argument, "x"), ("+", "name=x"), ("no-such-thing", "") })
            {
                if (row.IsStream && payload.Length == 0 && arg.Length == 0)
                {
                    continue;
                }
                var reply = await Daemon.CallAsync(dialect + name, destination, arg, payload);
                Assert.That(reply, Is.Not.Null, $"{dialect}{name}+{arg}");
                Assert.That((reply as Reply.Failure)?.Type, Is.Not.EqualTo("MgmtInternalError"), $"{dialect}{name}+{arg} {payload}");
            }
        }
    }

    [TestCaseSource(nameof(Calls))]
    public async Task A_vm_without_rights_is_denied_with_the_same_bytes_whether_or_not_the_target_exists(string name)
    {
        var row = CallGroups.ForReading().Rows.Single(r => r.Name == name);
        var argument = row.Argument is { IsRequired: true, Name: { } word } ? Arguments[word] : "";
        var payload = row.Payload.Kind is PayloadKind.Required or PayloadKind.Stream ? "name=x label=red" : "";
        var mgmt = (row.Dialects == CallDialects.Own ? "" : "mgmt.", "PermissionDenied");
        foreach (var (dialect, type) in row.Dialects == CallDialects.Both ? [mgmt, ("admin.", "QubesDaemonAccessError")] : new[] { mgmt })
        {
            var there = Text(await Daemon.CallRawAsync(dialect + name, "vault", argument, payload, "work"));
            var notThere = Text(await Daemon.CallRawAsync(dialect + name, "vaulx", argument, payload, "work"));
            var dom0 = Text(await Daemon.CallRawAsync(dialect + name, "dom0", argument, payload, "work"));
            Assert.That(there, Does.StartWith($"2\0{type}\0\0"));
            Assert.That(notThere.Replace("vaulx", "vault", StringComparison.Ordinal), Is.EqualTo(there));
            Assert.That(dom0.Replace("dom0", "vault", StringComparison.Ordinal), Is.EqualTo(there));
        }
    }

    [Test]
    public async Task A_denial_tells_nothing_about_arguments_either()
    {
        var there = Text(await Daemon.CallRawAsync("mgmt.label.Get", "dom0", "red", "", "work"));
        var notThere = Text(await Daemon.CallRawAsync("mgmt.label.Get", "dom0", "rex", "", "work"));
        Assert.That(notThere, Is.EqualTo(there));
    }

    private static string Text(byte[] bytes) => Encoding.Latin1.GetString(bytes);
}
