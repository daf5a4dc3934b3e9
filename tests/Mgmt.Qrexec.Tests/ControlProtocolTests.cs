namespace Mgmt.Qrexec.Tests;

/// <summary>The control channel of an agent: the bytes of the reference, and everything that may not come.</summary>
public sealed class ControlProtocolTests
{
    private static readonly MessageType[] Triggers = [MessageType.TriggerService, MessageType.TriggerService3, MessageType.TriggerService4];

    [Test]
    public void A_call_of_an_agent_of_4_3_is_read_in_any_blocks()
    {
        byte[] whole = [.. Messages.Hello(4), .. Trigger(MessageType.TriggerService4), .. Messages.Terminated(0, 513)];
        string[] expected = ["greeted 4", "called mgmt.vm.List+a1 on dom0 by SOCKET13", "terminated 0 513"];
        for (var cut = 0; cut <= whole.Length; cut++)
        {
            Assert.That(Read(whole[..cut], whole[cut..]), Is.EqualTo(expected), $"cut at {cut}");
        }
    }

    [TestCase(2u, MessageType.TriggerService)]
    [TestCase(3u, MessageType.TriggerService3)]
    [TestCase(4u, MessageType.TriggerService3)]
    [TestCase(4u, MessageType.TriggerService4)]
    [TestCase(99u, MessageType.TriggerService4)]
    public void Each_version_has_its_call(uint version, MessageType trigger)
    {
        var seen = Read(Messages.Hello(version), Trigger(trigger));
        Assert.That(seen[1], Does.StartWith("called mgmt.vm.List"));
    }

    [Test]
    public void A_call_that_its_version_does_not_have_ends_the_channel([Values(2u, 3u, 4u)] uint version, [ValueSource(nameof(Triggers))] MessageType trigger)
    {
        var has = (version, trigger) is (2, MessageType.TriggerService) or (>= 3, MessageType.TriggerService3) or (4, MessageType.TriggerService4);
        Assert.That(() => Read(Messages.Hello(version), Trigger(trigger)), has ? Throws.Nothing : Throws.TypeOf<QrexecProtocolException>());
    }

    [TestCase(0u)]
    [TestCase(1u)]
    public void A_version_that_nobody_speaks_ends_the_channel(uint version) => Assert.Throws<QrexecProtocolException>(() => Read(Messages.Hello(version)));

    [Test]
    public void What_has_no_place_there_ends_the_channel([Values] MessageType type, [Values] bool afterHello)
    {
        byte[] body = type switch
        {
            MessageType.Hello => [4, 0, 0, 0],
            MessageType.TriggerService3 => Messages.Trigger3("dom0", "S", "x"),
            MessageType.TriggerService4 => Messages.Trigger4("", "dom0", "S", "x"),
            MessageType.ConnectionTerminated => [0, 0, 0, 0, 1, 2, 0, 0],
            MessageType.ExecCommandLine or MessageType.JustExec => new byte[9],
            MessageType.ServiceConnect => new byte[40],
            MessageType.ServiceRefused => new byte[32],
            _ => new byte[4],
        };
        var isRight = afterHello ? type is MessageType.TriggerService3 or MessageType.TriggerService4 or MessageType.ConnectionTerminated : type == MessageType.Hello;
        Assert.That(() => Read(afterHello ? Messages.Hello(4) : [], Messages.Of(type, body)), isRight ? Throws.Nothing : Throws.TypeOf<QrexecProtocolException>());
    }

    [TestCase(512u)]
    [TestCase(769u)]
    [TestCase(0u)]
    [TestCase(uint.MaxValue)]
    public void A_port_that_no_data_channel_has_ends_the_channel(uint port) =>
        Assert.Throws<QrexecProtocolException>(() => Read(Messages.Hello(4), Messages.Terminated(0, port)));

    [Test]
    public void A_length_of_any_kind_is_judged_before_a_body_comes([Values(0u, 1u, 8u, 128u, 65160u, 65161u, uint.MaxValue)] uint length)
    {
        byte[] header = [.. BitConverter.GetBytes((uint)MessageType.TriggerService4), .. BitConverter.GetBytes(length)];
        Assert.That(() => Read(Messages.Hello(4), header), length == 65160 ? Throws.Nothing : Throws.TypeOf<QrexecProtocolException>());
    }

    [Test]
    public void Ports_are_given_lowest_first_and_once()
    {
        var ports = new DataPorts();
        for (var i = 0; i < DataPorts.Count; i++)
        {
            Assert.That(ports.Take(), Is.EqualTo(513u + i));
        }
        Assert.That(ports.Take(), Is.Null);
        Assert.That(ports.Release(600), Is.True);
        Assert.That(ports.Release(600), Is.False, "twice");
        Assert.That(ports.Release(512), Is.False, "not one of them");
        Assert.That(ports.Take(), Is.EqualTo(600u));
    }

    private static byte[] Trigger(MessageType type) => Messages.Of(type, type switch
    {
        MessageType.TriggerService => Messages.Trigger2("dom0", "SOCKET13", "mgmt.vm.List+a1"),
        MessageType.TriggerService3 => Messages.Trigger3("dom0", "SOCKET13", "mgmt.vm.List+a1"),
        _ => Messages.Trigger4("", "dom0", "SOCKET13", "mgmt.vm.List+a1"),
    });

    private static List<string> Read(params byte[][] blocks)
    {
        var events = new Recorder();
        var control = new ControlProtocol(events);
        foreach (var block in blocks)
        {
            control.Feed(block);
        }
        return events.Seen;
    }

    private sealed class Recorder : IControlEvents
    {
        public List<string> Seen { get; } = [];

        public void Greeted(int version) => Seen.Add($"greeted {version}");

        public void Called(TriggerService request) => Seen.Add($"called {request.Service} on {request.Target} by {request.Ident?.Text}");

        public void Terminated(uint domain, uint port) => Seen.Add($"terminated {domain} {port}");
    }
}
