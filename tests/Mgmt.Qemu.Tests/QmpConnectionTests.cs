using System.Text;
using System.Text.Json;
using Mgmt.Core;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mgmt.Qemu.Tests;

public sealed class QmpConnectionTests
{
    private const string Greeting = """{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}}, "capabilities": ["oob"]}}""" + "\r\n";
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(100);

    private SocketPair _pair;
    private CancellationTokenSource _patience;

    private CancellationToken Patience => _patience.Token;

    [SetUp]
    public void Open()
    {
        _pair = new SocketPair();
        _patience = new CancellationTokenSource(Long);
    }

    [TearDown]
    public void Close()
    {
        _pair.Dispose();
        _patience.Dispose();
    }

    [Test]
    public async Task A_reply_cut_at_every_byte_arrives_whole()
    {
        await using var qmp = await OpenAsync();
        var reply = "{\"timestamp\": {}, \"event\": \"STOP\"}\r\n{\"return\": {\"status\": \"pa\\u00fcsed \u00c3\u00bc\"}, \"id\": ID}\r\n";
        for (var cut = 1; cut < reply.Length - 2; cut++)
        {
            var asked = qmp.ExecuteAsync("query-status", null, Long, Patience);
            var text = reply.Replace("ID", await HearIdAsync(), StringComparison.Ordinal);
            await _pair.SayAsync(text[..cut], Patience);
            await _pair.SayAsync(text[cut..], Patience);
            Assert.That((await asked).GetProperty("status").GetString(), Is.EqualTo("paüsed ü"));
            Assert.That((await qmp.Events.ReadAsync(Patience)).Name, Is.EqualTo("STOP"));
        }
    }

    [Test]
    public async Task A_late_reply_answers_nobody_else()
    {
        await using var qmp = await OpenAsync();
        var late = await ErrorAsync(() => qmp.ExecuteAsync("first", null, Short, Patience));
        Assert.That(late.Code, Is.EqualTo(ErrorCode.MgmtTimeoutError));
        var firstId = await HearIdAsync();
        var second = qmp.ExecuteAsync("second", null, Long, Patience);
        var secondId = await HearIdAsync();
        await _pair.SayAsync($$"""
            {"return": "first", "id": {{firstId}}}
            {"return": "wrong", "id": 4711}
            {"return": "wrong", "id": "text"}
            {"return": "wrong", "id": 1e99}
            {"return": "none"}
            {"return": "second", "id": {{secondId}}}

            """, Patience);
        Assert.That((await second).GetString(), Is.EqualTo("second"));
    }

    [Test]
    public async Task Replies_in_another_order_reach_who_asked()
    {
        await using var qmp = await OpenAsync();
        var first = qmp.ExecuteAsync("first", null, Long, Patience);
        var firstId = await HearIdAsync();
        var second = qmp.ExecuteAsync("second", null, Long, Patience);
        var secondId = await HearIdAsync();
        await _pair.SayAsync($"{{\"return\": 2, \"id\": {secondId}}}\n{{\"return\": 1, \"id\": {firstId}}}\n", Patience);
        Assert.That(((await first).GetInt32(), (await second).GetInt32()), Is.EqualTo((1, 2)));
    }

    [Test]
    public async Task QEMUs_refusal_comes_with_its_words()
    {
        await using var qmp = await OpenAsync();
        var asked = qmp.ExecuteAsync("device_del", """{"id":"x"}""", Long, Patience);
        await _pair.SayAsync($"{{\"error\": {{\"class\": \"GenericError\", \"desc\": \"100% busy\"}}, \"id\": {await HearIdAsync()}}}\n", Patience);
        var error = await ErrorAsync(() => asked);
        Assert.That((error.Code, error.Fields[1]), Is.EqualTo((ErrorCode.QubesException, "100% busy")));
        asked = qmp.ExecuteAsync("no-such", null, Long, Patience);
        await _pair.SayAsync($"{{\"error\": {{\"class\": \"CommandNotFound\", \"desc\": \"\"}}, \"id\": {await HearIdAsync()}}}\n", Patience);
        Assert.That((await ErrorAsync(() => asked)).Code, Is.EqualTo(ErrorCode.MgmtUnsupportedError));
    }

    private static IEnumerable<TestCaseData> Hostile()
    {
        yield return new TestCaseData("junk\n").SetArgDisplayNames("junk");
        yield return new TestCaseData("[]\n").SetArgDisplayNames("no object");
        yield return new TestCaseData("{\"return\": {}, \"id\": 2}}\n").SetArgDisplayNames("a bracket too many");
        yield return new TestCaseData("{\"return\": {\n").SetArgDisplayNames("a line cut off");
        yield return new TestCaseData(new string('[', 10_000) + "\n").SetArgDisplayNames("10 000 brackets");
        yield return new TestCaseData("{\"a\":" + new string('[', 10_000) + new string(']', 10_000) + "}\n").SetArgDisplayNames("10 000 closed brackets");
        yield return new TestCaseData("[" + string.Concat(Enumerable.Repeat("0,", QmpConnection.MaxTokens)) + "0]\n").SetArgDisplayNames("too many values");
        yield return new TestCaseData("{\"return\": \"\\ud800\", \"id\": 2}\n").SetArgDisplayNames("half a surrogate pair");
        yield return new TestCaseData(new string('x', QmpConnection.MaxLineBytes + 8192)).SetArgDisplayNames("a line without end");
        yield return new TestCaseData("\u0000\u00ff\u00fe\n").SetArgDisplayNames("binary");
    }

    [TestCaseSource(nameof(Hostile))]
    public async Task What_is_not_the_protocol_closes_the_connection_and_hangs_nobody(string said)
    {
        await using var qmp = await OpenAsync();
        var asked = qmp.ExecuteAsync("query-status", null, Long, Patience);
        await HearIdAsync();
        // The connection may be closed before all was said.
        var saying = _pair.SayAsync(said, Patience);
        Assert.That((await ErrorAsync(() => asked)).Code, Is.EqualTo(ErrorCode.MgmtUnavailableError));
        Assert.That((await ErrorAsync(() => qmp.ExecuteAsync("again", null, Long, Patience))).Code, Is.EqualTo(ErrorCode.MgmtUnavailableError));
        Assert.That(await qmp.Events.WaitToReadAsync(Patience), Is.False);
        await saying.ContinueWith(_ => { }, TaskScheduler.Default);
    }

    [Test]
    public async Task The_end_of_the_stream_fails_who_waits_and_ends_the_events()
    {
        await using var qmp = await OpenAsync();
        var asked = qmp.ExecuteAsync("quit", null, Long, Patience);
        await HearIdAsync();
        await _pair.SayAsync("""{"event": "SHUTDOWN", "data": {"guest": false, "reason": "host-qmp-quit"}}""" + "\n{\"retu", Patience);
        _pair.Peer.Close();
        Assert.That((await ErrorAsync(() => asked)).Code, Is.EqualTo(ErrorCode.MgmtUnavailableError));
        Assert.That((await qmp.Events.ReadAsync(Patience)).Text("reason"), Is.EqualTo("host-qmp-quit"));
        Assert.That(await qmp.Events.WaitToReadAsync(Patience), Is.False);
    }

    [Test]
    public async Task No_greeting_is_a_timeout() =>
        Assert.That((await ErrorAsync(() => OpenRawAsync(Short))).Code, Is.EqualTo(ErrorCode.MgmtTimeoutError));

    [TestCase("{\"return\": {}}\n")]
    [TestCase("SSH-2.0-x\n")]
    [TestCase("\"QMP\"\n")]
    public async Task Another_greeting_is_refused(string said)
    {
        await _pair.SayAsync(said, Patience);
        Assert.That((await ErrorAsync(() => OpenRawAsync(Long))).Code, Is.EqualTo(ErrorCode.MgmtUnavailableError));
    }

    [Test]
    public async Task A_greeting_and_then_silence_is_a_timeout()
    {
        await _pair.SayAsync(Greeting, Patience);
        Assert.That((await ErrorAsync(() => OpenRawAsync(Short))).Code, Is.EqualTo(ErrorCode.MgmtTimeoutError));
    }

    [Test]
    public async Task Too_many_commands_at_once_are_refused()
    {
        await using var qmp = await OpenAsync();
        var asked = Enumerable.Range(0, QmpConnection.MaxOutstanding).Select(_ => qmp.ExecuteAsync("slow", null, Long, Patience)).ToList();
        Assert.That((await ErrorAsync(() => qmp.ExecuteAsync("slow", null, Long, Patience))).Code, Is.EqualTo(ErrorCode.MgmtBusyError));
        _pair.Peer.Close();
        foreach (var one in asked)
        {
            Assert.That((await ErrorAsync(() => one)).Code, Is.EqualTo(ErrorCode.MgmtUnavailableError));
        }
    }

    [Test]
    public async Task A_flood_of_events_is_bounded_and_keeps_the_newest()
    {
        await using var qmp = await OpenAsync();
        const int Extra = 100;
        var flood = string.Concat(Enumerable.Range(0, QmpConnection.EventCapacity + Extra).Select(i => $"{{\"event\": \"E{i}\"}}\n"));
        var asked = qmp.ExecuteAsync("after", null, Long, Patience);
        await _pair.SayAsync(flood + $"{{\"return\": 1, \"id\": {await HearIdAsync()}}}\n", Patience);
        await asked;
        Assert.That(qmp.EventsLost, Is.EqualTo(Extra));
        Assert.That((await qmp.Events.ReadAsync(Patience)).Name, Is.EqualTo($"E{Extra}"));
    }

    [Test]
    public async Task Giving_up_is_a_cancellation_and_harms_nobody()
    {
        await using var qmp = await OpenAsync();
        using var givingUp = new CancellationTokenSource();
        var asked = qmp.ExecuteAsync("slow", null, Long, givingUp.Token);
        await HearIdAsync();
        await givingUp.CancelAsync();
        await Assert.ThatAsync(() => asked, Throws.InstanceOf<OperationCanceledException>());
        var next = qmp.ExecuteAsync("next", null, Long, Patience);
        await _pair.SayAsync($"{{\"return\": 1, \"id\": {await HearIdAsync()}}}\n", Patience);
        Assert.That((await next).GetInt32(), Is.EqualTo(1));
    }

    private async Task<QmpConnection> OpenAsync()
    {
        var opening = OpenRawAsync(Long);
        await _pair.SayAsync(Greeting, Patience);
        await _pair.SayAsync($"{{\"return\": {{}}, \"id\": {await HearIdAsync()}}}\n", Patience);
        return await opening;
    }

    private Task<QmpConnection> OpenRawAsync(TimeSpan deadline) =>
        QmpConnection.OpenAsync(_pair.Ours, deadline, TimeProvider.System, NullLogger.Instance, Patience);

    private async Task<string> HearIdAsync()
    {
        using var command = JsonDocument.Parse(await _pair.HearAsync(Patience));
        return command.RootElement.GetProperty("id").GetRawText();
    }

    private static async Task<MgmtException> ErrorAsync(Func<Task> action) => (await Assert.ThrowsAsync<MgmtException>(() => action()))!;
}
