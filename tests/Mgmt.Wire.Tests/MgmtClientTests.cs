using System.Net.Sockets;
using System.Text;
using Mgmt.Core;

namespace Mgmt.Wire.Tests;

[CancelAfter(20_000)]
public sealed class MgmtClientTests
{
    private static readonly RequestHeader ListCall = RequestHeader.ToDom0("mgmt.vm.List", "");
    private readonly string _path = ScriptedDaemon.NewPath();

    [Test]
    public async Task A_call_sends_header_and_payload_and_gives_the_answer(CancellationToken token)
    {
        await using var daemon = ScriptedDaemon.Answering(_path, "0\0fine");
        var reply = await new MgmtClient(_path).CallAsync(ListCall, "pay\0load"u8.ToArray(), token);
        Assert.That((((Reply.Ok)reply).Text, daemon.Requests.Single()), Is.EqualTo(("fine", "mgmt.vm.List+ dom0 name dom0\0pay\0load")));
    }

    [Test]
    public async Task A_refusal_is_a_value(CancellationToken token)
    {
        await using var daemon = ScriptedDaemon.Answering(_path, "2\0PermissionDenied\0\0no %s\0way\0");
        var reply = await new MgmtClient(_path).CallAsync(ListCall, ReadOnlyMemory<byte>.Empty, token);
        Assert.That(((Reply.Failure)reply).Message, Is.EqualTo("no way"));
    }

    [TestCase("", "Empty reply")]
    [TestCase("2\0Perm", "Incomplete reply")]
    [TestCase("hello", "Unknown reply")]
    public async Task Half_a_reply_is_an_error_with_a_reason(string answer, string reason, CancellationToken token)
    {
        await using var daemon = ScriptedDaemon.Answering(_path, answer);
        Assert.That(async () => await new MgmtClient(_path).CallAsync(ListCall, ReadOnlyMemory<byte>.Empty, token),
            Throws.TypeOf<MgmtException>().With.Message.StartsWith(reason));
    }

    [Test]
    public async Task A_reply_made_before_the_payload_was_read_is_still_heard(CancellationToken token)
    {
        // Closing with unread bytes resets the connection, after the reply.
        await using var daemon = new ScriptedDaemon(_path, (_, socket, stop) => socket.SendAsync("2\0ProtocolError\0\0too long\0"u8.ToArray(), stop).AsTask(), readPayload: false);
        var reply = await new MgmtClient(_path).CallAsync(ListCall, new MemoryStream(new byte[8 << 20]), null, token);
        Assert.That(((Reply.Failure)reply).Message, Is.EqualTo("too long"));
    }

    [Test]
    public async Task A_streamed_payload_arrives_whole_and_reports_its_progress(CancellationToken token)
    {
        var image = new byte[1_000_003];
        new Random(1).NextBytes(image);
        await using var daemon = ScriptedDaemon.Answering(_path, "0\0");
        var progress = new Recorder();
        await new MgmtClient(_path).CallAsync(RequestHeader.ToDom0("mgmt.vm.CreateTemplate", "debian+1000003"), new MemoryStream(image), progress, token);
        Assert.That(daemon.Requests.Single(), Is.EqualTo("mgmt.vm.CreateTemplate+debian+1000003 dom0 name dom0\0" + Encoding.Latin1.GetString(image)));
        Assert.That(progress.Seen, Is.Ordered.And.Not.Empty);
        Assert.That(progress.Seen[^1], Is.EqualTo(image.Length));
    }

    [Test]
    public async Task A_reply_beyond_the_limit_is_refused(CancellationToken token)
    {
        await using var daemon = ScriptedDaemon.Answering(_path, "0\0" + new string('x', 100_000));
        var client = new MgmtClient(_path) { MaxReplyBytes = 50_000 };
        Assert.That(async () => await client.CallAsync(ListCall, ReadOnlyMemory<byte>.Empty, token), Code(ErrorCode.ProtocolError));
    }

    [Test]
    public void Nobody_there_is_unavailable(CancellationToken token)
    {
        Assert.That(async () => await new MgmtClient(_path).CallAsync(ListCall, ReadOnlyMemory<byte>.Empty, token), Code(ErrorCode.MgmtUnavailableError));
        Assert.That(async () => await new MgmtClient("/" + new string('x', 300)).CallAsync(ListCall, ReadOnlyMemory<byte>.Empty, token), Code(ErrorCode.MgmtUnavailableError));
    }

    [Test]
    public async Task A_silent_daemon_is_left_after_the_deadline(CancellationToken token)
    {
        await using var daemon = new ScriptedDaemon(_path, (_, _, stop) => Task.Delay(Timeout.Infinite, stop));
        var client = new MgmtClient(_path) { IdleDeadline = TimeSpan.FromMilliseconds(50), EventIdleDeadline = TimeSpan.FromMilliseconds(50) };
        Assert.That(async () => await client.CallAsync(ListCall, ReadOnlyMemory<byte>.Empty, token), Code(ErrorCode.MgmtTimeoutError));
        Assert.That(async () => await client.EventsAsync(ListCall, new EventFilter { CursorAsked = true }, token).ToListAsync(token), Code(ErrorCode.MgmtTimeoutError));
    }

    [Test]
    public async Task A_cancelled_call_is_cancelled(CancellationToken token)
    {
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(token);
        await using var daemon = new ScriptedDaemon(_path, async (_, _, stop) =>
        {
            await cancel.CancelAsync();
            await Task.Delay(Timeout.Infinite, stop);
        });
        Assert.That(async () => await new MgmtClient(_path).CallAsync(ListCall, ReadOnlyMemory<byte>.Empty, cancel.Token), Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public async Task Events_come_one_by_one_even_byte_by_byte_and_when_they_are_long(CancellationToken token)
    {
        var big = new string('v', 200_000);
        await using var daemon = new ScriptedDaemon(_path, async (_, socket, stop) =>
        {
            foreach (var one in "1\0\0connection-established\0\0"u8.ToArray())
            {
                await socket.SendAsync(new[] { one }, stop);
            }
            await SendAsync(socket, $"1\0work\0a\0k\0{big}\0\0", stop);
            await SendAsync(socket, "1\0work\0b\0\0", stop);
        });
        var events = await new MgmtClient(_path).EventsAsync(RequestHeader.ToDom0("mgmt.Events", ""), new EventFilter { SinceNow = true }, token).ToListAsync(token);
        Assert.Multiple(() =>
        {
            Assert.That(events.Select(e => e.Name), Is.EqualTo(new[] { "connection-established", "a", "b" }));
            Assert.That(events[1]["k"], Is.EqualTo(big));
            Assert.That(daemon.Requests.Single(), Is.EqualTo("mgmt.Events+ dom0 name dom0\0since=now\n"));
        });
    }

    [TestCase("", ErrorCode.ProtocolError)]
    [TestCase("2\0PermissionDenied\0\0Denied\0", ErrorCode.PermissionDenied)]
    [TestCase("2\0PermissionDenied\0\0Den", ErrorCode.ProtocolError)]
    [TestCase("0\0", ErrorCode.ProtocolError)]
    [TestCase("1\0work\0a\0", ErrorCode.ProtocolError)]
    [TestCase("1\0work\0a\0\0junk", ErrorCode.ProtocolError)]
    public async Task A_stream_that_is_none_is_an_error(string answer, ErrorCode code, CancellationToken token)
    {
        await using var daemon = ScriptedDaemon.Answering(_path, answer);
        Assert.That(async () => await new MgmtClient(_path).EventsAsync(ListCall, EventFilter.All, token).ToListAsync(token), Code(code));
    }

    private static NUnit.Framework.Constraints.IResolveConstraint Code(ErrorCode code) =>
        Throws.TypeOf<MgmtException>().With.Property(nameof(MgmtException.Code)).EqualTo(code);

    private static async Task SendAsync(Socket socket, string latin1, CancellationToken token)
    {
        ReadOnlyMemory<byte> rest = Encoding.Latin1.GetBytes(latin1);
        while (!rest.IsEmpty)
        {
            rest = rest[await socket.SendAsync(rest, token)..];
        }
    }

    /// <summary>Progress without a thread switch, so that the order is that of the reports.</summary>
    private sealed class Recorder : IProgress<long>
    {
        public List<long> Seen { get; } = [];

        public void Report(long value) => Seen.Add(value);
    }
}
