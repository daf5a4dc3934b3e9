using System.Text.Json;
using Mgmt.Qrexec;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>
/// A VM whose agent is hostile says everything that it may not, on its control channel and on those of its calls. After each of it another VM and the socket are served, and at the end the VM itself is.
/// </summary>
[CancelAfter(300_000)]
public sealed class HostileGuestTests
{
    private static readonly uint[] Types = [.. Enum.GetValues<MessageType>().Select(type => (uint)type), 0, 0x999, uint.MaxValue];
    private static readonly uint[] Lengths = [0, 1, 4, 8, 65_536, 65_537, uint.MaxValue];

    private string _directory = "";
    private DaemonProcess? _daemon;
    private ScriptedAgent? _good;
    private uint _port = 512;

    private DaemonProcess Daemon => _daemon!;

    private string Sockets => Path.Combine(_directory, "vchan");

    [SetUp]
    public async Task Start()
    {
        _directory = Directory.CreateTempSubdirectory("bad-").FullName;
        Directory.CreateDirectory(Sockets);
        var rpc = Directory.CreateDirectory(Path.Combine(_directory, "rpc")).FullName;
        var service = Path.Combine(rpc, "test.Cat");
        await File.WriteAllTextAsync(service, "#!/bin/sh\nexec cat\n");
        File.SetUnixFileMode(service, (UnixFileMode)0b111_101_101);
        _daemon = await DaemonProcess.StartAsync(new()
        {
            Config = $$"""{ "vchan-dir": "{{Sockets}}", "service-dirs": ["{{rpc}}"], "service-user": "{{Environment.UserName}}" }""",
            Policy = new Dictionary<string, string> { ["10-guest.policy"] = "test.Cat * @anyvm @adminvm allow\nmgmt.vm.List * vault @adminvm allow\n" },
        });
        await Daemon.OkAsync("mgmt.vm.Start", "work");
        await Daemon.OkAsync("mgmt.vm.Start", "vault");
        _port = 512;
        _good = await ScriptedAgent.StartAsync(Daemon, Sockets, "vault");
    }

    [TearDown]
    public async Task Stop()
    {
        _good?.Dispose();
        if (_daemon is not null)
        {
            await _daemon.DisposeAsync();
        }
        Directory.Delete(_directory, recursive: true);
    }

    [Test]
    public async Task On_its_control_channel()
    {
        byte[] hello = ScriptedAgent.Message(0x300, 4, 0, 0, 0);
        (string What, byte[] Bytes)[] cases =
        [
            ("a call before HELLO", Header(0x213, 176)), ("data before HELLO", Header(0x190, 0)), ("version 1", ScriptedAgent.Message(0x300, 1, 0, 0, 0)), ("HELLO of 5 bytes", Header(0x300, 5)),
            ("no type", Header(0x999, 0)), ("HELLO of 4 GiB", Header(0x300, uint.MaxValue)), ("HELLO twice", [.. hello, .. hello]), ("data", [.. hello, .. Header(0x190, 1), 0]),
            ("a call without a service", [.. hello, .. Header(0x213, 160)]), ("a call too long", [.. hello, .. Header(0x213, 65_161)]), ("a call of 4 GiB", [.. hello, .. Header(0x213, uint.MaxValue)]),
            ("a call of version 2", [.. hello, .. Header(0x210, 128)]), ("no such port", [.. hello, .. ScriptedAgent.Message(0x211, 0, 0, 0, 0, 12, 0, 0, 0)]), ("EXEC", [.. hello, .. Header(0x200, 9)]),
        ];
        foreach (var (what, bytes) in cases)
        {
            await ScriptedAgent.SayOnceAsync(Daemon, Sockets, "work", bytes);
            await OthersAreServedAsync(what);
        }
        // Not one: it never says anything, and is dropped for it.
        await ScriptedAgent.SayOnceAsync(Daemon, Sockets, "work", []);
        using var work = await ScriptedAgent.StartAsync(Daemon, Sockets, "work");
        // An ident that is none cannot be answered, a name that is none is refused.
        await work.SayAsync(ScriptedAgent.Message(0x213, [.. new byte[160], .. "test.Cat\0"u8]));
        foreach (var service in new[] { "", "+x", "a\0b", new string('x', 64_000) })
        {
            Assert.That(await work.CallAsync("dom0", service, 513), Is.Null, service);
            await OthersAreServedAsync(service);
        }
        // Who it claims to be does not matter.
        Assert.That(await work.CallAsync("dom0", "mgmt.vm.List", 513, "vault"), Is.Null);
        Assert.That(Daemon.Audit("mgmt.vm.List")[^1].GetProperty("outcome").GetString(), Is.EqualTo("PermissionDenied"));
    }

    [Test]
    public async Task On_the_channels_of_its_calls()
    {
        using var work = await ScriptedAgent.StartAsync(Daemon, Sockets, "work");
        var port = 512u;
        foreach (var type in Types)
        {
            foreach (var length in Lengths)
            {
                var call = (await work.CallAsync("dom0", "test.Cat", ++port))!;
                await call.SendAsync([.. Header(type, length), .. new byte[Math.Min(length, 16)]]);
                call.Close();
                await TestUntil.TrueAsync(async () => await InFlightAsync() == 0);
            }
            await OthersAreServedAsync($"0x{type:x}");
        }
        var last = (await work.CallAsync("dom0", "test.Cat", ++port))!;
        await last.SayAsync("still here");
        Assert.That(await last.EndAsync(), Is.EqualTo((0, "still here", "")));
    }

    private static byte[] Header(uint type, uint length) => [.. BitConverter.GetBytes(type), .. BitConverter.GetBytes(length)];

    private async Task OthersAreServedAsync(string what)
    {
        Assert.That(await Daemon.OkAsync("mgmt.vm.List"), Does.Contain("work"), what);
        var call = (await _good!.CallAsync("dom0", "test.Cat", ++_port))!;
        await call.SayAsync("in");
        Assert.That(await call.EndAsync(), Is.EqualTo((0, "in", "")), what);
    }

    private async Task<int> InFlightAsync()
    {
        using var channels = JsonDocument.Parse(await Daemon.OkAsync("mgmt.call.Channels"));
        return channels.RootElement.EnumerateArray().Single(vm => vm.GetProperty("vm").GetString() == "work").GetProperty("calls").GetInt32();
    }
}
