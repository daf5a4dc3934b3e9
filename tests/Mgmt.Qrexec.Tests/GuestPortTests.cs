namespace Mgmt.Qrexec.Tests;

/// <summary>A port with a scripted guest at its other end.</summary>
public sealed class GuestPortTests
{
    private static readonly byte[] Connected = Messages.Of(MessageType.ServiceConnect, [0, 0, 0, 0, 0, 0, 0, 0, .. "SOCKET1"u8, .. new byte[25]]);
    private static readonly byte[] Refused = Messages.Of(MessageType.ServiceRefused, [.. "SOCKET1"u8, .. new byte[25]]);
    private static readonly byte[] InputEnd = Messages.Of(MessageType.DataStdin);

    [Test]
    public async Task A_call_is_answered_to_the_byte()
    {
        await using var port = await ServedPort.StartAsync();
        await port.Peer.SayAsync(PortPeer.Call, Messages.Of(MessageType.DataStdin, "in"u8.ToArray()), InputEnd);
        await port.Peer.HearAsync(PortPeer.Greeting);
        var served = await port.NextAsync();
        Assert.That((served.Call.Request.Service, served.Call.Request.Target), Is.EqualTo(("mgmt.vm.List", "dom0")));
        await served.Call.AcceptAsync(CancellationToken.None);
        await port.Peer.HearAsync(Connected);
        Assert.That(await served.InputAsync(), Is.EqualTo("in"u8.ToArray()));
        await served.Call.WriteAsync("out"u8.ToArray(), CancellationToken.None);
        await served.Call.EndAsync("!"u8.ToArray(), 5, CancellationToken.None);
        served.Done.SetResult();
        await port.Peer.HearAsync(Messages.Of(MessageType.DataStdout, "out"u8.ToArray()), Messages.Of(MessageType.DataStdout, "!"u8.ToArray()), Messages.Of(MessageType.DataStdout),
            Messages.Of(MessageType.DataExitCode, 5, 0, 0, 0));
    }

    [Test]
    public async Task A_refusal_is_one_message()
    {
        await using var port = await ServedPort.StartAsync();
        await port.Peer.SayAsync(PortPeer.Call);
        await port.Peer.HearAsync(PortPeer.Greeting);
        var served = await port.NextAsync();
        await served.Call.RefuseAsync(CancellationToken.None);
        served.Done.SetResult();
        await port.Peer.HearAsync(Refused);
    }

    [Test]
    public async Task A_port_tells_its_call_and_what_went_over_it()
    {
        await using var port = await ServedPort.StartAsync();
        Assert.That((port.Port.IsConnected, port.Port.Call), Is.EqualTo((true, (GuestCall?)null)));
        await port.Peer.SayAsync(PortPeer.Call, Messages.Of(MessageType.DataStdin, "in"u8.ToArray()), InputEnd);
        var served = await port.NextAsync();
        Assert.That(port.Port.Call, Is.SameAs(served.Call));
        await served.InputAsync();
        await served.Call.AcceptAsync(CancellationToken.None);
        await served.Call.WriteAsync("out"u8.ToArray(), CancellationToken.None);
        await served.Call.WriteErrorAsync("error"u8.ToArray(), CancellationToken.None);
        Assert.That((served.Call.BytesIn, served.Call.BytesOut), Is.EqualTo((2L, 8L)));
        await served.Call.EndAsync("!"u8.ToArray(), 0, CancellationToken.None);
        Assert.That((served.Call.BytesOut, port.Port.Call), Is.EqualTo((9L, (GuestCall?)null)));
        served.Done.SetResult();
    }

    [Test]
    public async Task Calls_follow_each_other_whatever_the_earlier_one_left_unsaid()
    {
        await using var port = await ServedPort.StartAsync();
        for (var cut = 1; cut < PortPeer.Call.Length; cut += 13)
        {
            await port.Peer.SayAsync(PortPeer.Call[..cut]);
            await port.Peer.SayAsync(PortPeer.Call, InputEnd);
            var served = await port.NextAsync();
            Assert.That(served.Call.Request.Service, Is.EqualTo("mgmt.vm.List"));
            served.Done.SetResult();
        }
    }

    [Test]
    public async Task The_next_open_ends_a_call_under_way_and_its_output()
    {
        await using var port = await ServedPort.StartAsync();
        await port.Peer.SayAsync(PortPeer.Call);
        await port.Peer.HearAsync(PortPeer.Greeting);
        var first = await port.NextAsync();
        await port.Peer.SayAsync(PortPeer.Call);
        await port.Peer.HearAsync(PortPeer.Greeting);
        await first.GoneAsync();
        Assert.That(async () => await first.Call.WriteAsync("late"u8.ToArray(), CancellationToken.None), Throws.InstanceOf<OperationCanceledException>());
        // The earlier one is still at it, as a change that runs to its end is.
        var second = await port.NextAsync();
        await second.Call.AcceptAsync(CancellationToken.None);
        await port.Peer.HearAsync(Connected);
        first.Done.SetResult();
        second.Done.SetResult();
    }

    [Test]
    public async Task A_guest_whose_input_nobody_takes_waits_and_loses_nothing()
    {
        await using var port = await ServedPort.StartAsync();
        await port.Peer.SayAsync(PortPeer.Call);
        var served = await port.NextAsync();
        var message = Messages.Of(MessageType.DataStdin, new byte[8192]);
        var sent = await port.Peer.FillAsync(message, 64 << 20);
        Assert.That(sent, Is.LessThan(16 << 20), "it was taken without end");
        var input = served.InputAsync();
        await port.Peer.SayAsync(new byte[(message.Length - (sent % message.Length)) % message.Length], InputEnd);
        var whole = (sent + message.Length - 1) / message.Length;
        Assert.That(await input, Has.Length.EqualTo(whole * 8192));
        served.Done.SetResult();
    }

    [Test]
    public async Task A_guest_that_floods_is_read_slowly_and_served_all_the_same()
    {
        await using var port = await ServedPort.StartAsync();
        var sent = await port.Peer.FillAsync(new byte[64 * 1024], 64 << 20);
        Assert.That(sent, Is.LessThan(32 << 20));
        var say = port.Peer.SayAsync(PortPeer.Call);
        while (!say.IsCompleted)
        {
            port.Time.Advance(1000);
            await Task.WhenAny(say, Task.Delay(1));
        }
        var next = port.NextAsync();
        while (!next.IsCompleted)
        {
            port.Time.Advance(1000);
            await Task.WhenAny(next, Task.Delay(1));
        }
        (await next).Done.SetResult();
    }

    [Test]
    public async Task A_guest_that_takes_nothing_loses_its_connection_and_gets_a_new_one()
    {
        await using var port = await ServedPort.StartAsync();
        await port.Peer.SayAsync(PortPeer.Call);
        var served = await port.NextAsync();
        var writing = served.Call.WriteAsync(new byte[64 << 20], CancellationToken.None).AsTask();
        while (!writing.IsCompleted)
        {
            port.Time.Advance(1000);
            await Task.WhenAny(writing, Task.Delay(1));
        }
        Assert.That(async () => await writing, Throws.InstanceOf<OperationCanceledException>());
        served.Done.SetResult();
        await port.Peer.EndAsync();
        await ReconnectedAsync(port);
    }

    [Test]
    public async Task A_breach_ends_the_call_with_125_and_no_other()
    {
        await using var port = await ServedPort.StartAsync();
        await port.Peer.SayAsync(PortPeer.Call);
        await port.Peer.HearAsync(PortPeer.Greeting);
        var served = await port.NextAsync();
        await port.Peer.SayAsync(Messages.Hello(4));
        await served.GoneAsync();
        await port.Peer.HearAsync(Messages.Of(MessageType.DataExitCode, 125, 0, 0, 0));
        served.Done.SetResult();
        await port.Peer.SayAsync(PortPeer.Call);
        await port.Peer.HearAsync(PortPeer.Greeting);
        (await port.NextAsync()).Done.SetResult();
    }

    [TestCase("")]
    [TestCase("a/b")]
    [TestCase("A\0B")]
    [TestCase("12345678901234567890123456789012")]
    public async Task A_call_without_an_ident_is_a_breach_and_the_next_one_is_served(string ident)
    {
        await using var port = await ServedPort.StartAsync();
        await port.Peer.SayAsync(PortPeer.Greeting, Messages.Of(MessageType.TriggerService4, Messages.Trigger4("", "dom0", ident, "x")));
        await port.Peer.HearAsync(PortPeer.Greeting, Messages.Of(MessageType.DataExitCode, 125, 0, 0, 0));
        await port.Peer.SayAsync(PortPeer.Call);
        await port.Peer.HearAsync(PortPeer.Greeting);
        (await port.NextAsync()).Done.SetResult();
    }

    [Test]
    public async Task What_a_guest_says_to_a_call_that_has_ended_is_thrown_away()
    {
        await using var port = await ServedPort.StartAsync();
        foreach (var late in new[] { Messages.Of(MessageType.DataStdin, 1, 2), InputEnd, Messages.Hello(4), Messages.Of(MessageType.DataExitCode, 0, 0, 0, 0), Messages.Of(MessageType.ServiceRefused, new byte[32]) })
        {
            await port.Peer.SayAsync(PortPeer.Call);
            await port.Peer.HearAsync(PortPeer.Greeting);
            var served = await port.NextAsync();
            await served.Call.EndAsync("x"u8.ToArray(), 0, CancellationToken.None);
            await port.Peer.HearAsync(Messages.Of(MessageType.DataStdout, "x"u8.ToArray()), Messages.Of(MessageType.DataStdout), Messages.Of(MessageType.DataExitCode, 0, 0, 0, 0));
            served.Done.SetResult();
            await port.Peer.SayAsync(late, late);
        }
        await port.Peer.SayAsync(PortPeer.Call);
        await port.Peer.HearAsync(PortPeer.Greeting);
        (await port.NextAsync()).Done.SetResult();
    }

    [Test]
    public async Task Much_output_goes_out_as_messages_of_64_KiB_and_the_rest_with_the_end()
    {
        await using var port = await ServedPort.StartAsync();
        await port.Peer.SayAsync(PortPeer.Call);
        await port.Peer.HearAsync(PortPeer.Greeting);
        var served = await port.NextAsync();
        var output = new byte[150_000];
        new Random(4).NextBytes(output);
        // A mark across what would be the end of a message, and one in the middle of one.
        PortMark.Bytes.CopyTo(output.AsSpan((150_000 - 65_536) - 8));
        PortMark.Bytes.CopyTo(output.AsSpan(10_000));
        var ending = served.Call.EndAsync(output, 3, CancellationToken.None).AsTask();
        var heard = new MemoryStream();
        for (var type = MessageType.DataStdout; type != MessageType.DataExitCode;)
        {
            var header = new byte[8];
            await port.Peer.ReadAsync(header);
            type = (MessageType)BitConverter.ToUInt32(header);
            var body = new byte[BitConverter.ToInt32(header, 4)];
            await port.Peer.ReadAsync(body);
            Assert.That(body.AsSpan().IndexOf(PortMark.Bytes), Is.Negative);
            Assert.That(body, Has.Length.LessThanOrEqualTo(65_536));
            heard.Write(body);
        }
        await ending;
        Assert.That(heard.ToArray(), Is.EqualTo((byte[])[.. output, 3, 0, 0, 0]));
        Assert.That(served.Call.BytesOut, Is.EqualTo(output.Length));
        served.Done.SetResult();
    }

    [Test]
    public async Task A_close_ends_the_call_of_its_own_open_only()
    {
        await using var port = await ServedPort.StartAsync();
        var before = port.Port.Generation;
        await port.Peer.SayAsync(PortPeer.Call);
        var served = await port.NextAsync();
        port.Port.Closed(before);
        Assert.That(served.Call.Gone.IsCancellationRequested, Is.False, "that was an earlier open");
        port.Port.Closed(port.Port.Generation);
        Assert.That(served.Call.Gone.IsCancellationRequested);
        served.Done.SetResult();
    }

    [Test]
    public async Task A_connection_that_ends_ends_the_call_and_is_made_again()
    {
        await using var port = await ServedPort.StartAsync();
        await port.Peer.SayAsync(PortPeer.Call);
        var served = await port.NextAsync();
        port.Peer.Connection.Dispose();
        await served.GoneAsync();
        served.Done.SetResult();
        await ReconnectedAsync(port);
        await port.Peer.SayAsync(PortPeer.Call);
        await port.Peer.HearAsync(PortPeer.Greeting);
        (await port.NextAsync()).Done.SetResult();
    }

    private static async Task ReconnectedAsync(ServedPort port)
    {
        var accepting = port.Peer.AcceptAsync();
        while (!accepting.IsCompleted)
        {
            port.Time.Advance(1000);
            await Task.WhenAny(accepting, Task.Delay(1));
        }
        await accepting;
    }
}
