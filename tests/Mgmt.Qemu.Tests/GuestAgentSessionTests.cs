using System.Text.Json;
using System.Threading.Channels;
using Mgmt.Core;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mgmt.Qemu.Tests;

public sealed class GuestAgentSessionTests
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(100);
    private static readonly AgentTimes Quick = new()
    {
        Sync = TimeSpan.FromMilliseconds(300), FirstPause = TimeSpan.FromMilliseconds(10), LongestPause = TimeSpan.FromMilliseconds(50), SilentSuccess = Short,
    };

    private SocketPair _pair;
    private CancellationTokenSource _patience;
    private Channel<AgentState> _states;
    private GuestAgentSession _agent;

    private CancellationToken Patience => _patience.Token;

    [SetUp]
    public void Open()
    {
        _pair = new SocketPair();
        _patience = new CancellationTokenSource(Long);
        _states = Channel.CreateUnbounded<AgentState>();
        var connected = 0;
        _agent = new GuestAgentSession(
            _ => connected++ == 0 ? Task.FromResult<Stream>(_pair.Ours) : Task.FromException<Stream>(new IOException("no more")), state => _states.Writer.TryWrite(state), Quick, TimeProvider.System, NullLogger.Instance);
    }

    [TearDown]
    public async Task Close()
    {
        await _agent.DisposeAsync();
        _pair.Dispose();
        _patience.Dispose();
    }

    [Test]
    public async Task Before_the_port_opens_nothing_is_written_and_commands_are_refused()
    {
        _agent.Start(maybeOpen: false);
        Assert.That(_agent.State, Is.EqualTo(AgentState.Absent));
        Assert.That((await ErrorAsync(() => _agent.ExecuteAsync("guest-ping", null, Long, Patience))).Code, Is.EqualTo(ErrorCode.MgmtUnavailableError));
        Assert.That(_pair.Peer.Available, Is.Zero);
    }

    [Test]
    public async Task Ready_comes_after_the_sync_and_a_ping()
    {
        _agent.Start(maybeOpen: false);
        _agent.PortChanged(true);
        await StateAsync(AgentState.Connecting);
        await AnswerSyncAsync();
        Assert.That(await _pair.HearAsync(Patience), Does.Contain("guest-ping"));
        Assert.That(_agent.State, Is.EqualTo(AgentState.Connecting));
        await _pair.SayAsync("{\"return\": {}}\n", Patience);
        await StateAsync(AgentState.Ready);
    }

    [Test]
    public async Task Whatever_an_earlier_client_left_behind_is_skipped()
    {
        _agent.Start(maybeOpen: true);
        await StateAsync(AgentState.Connecting);
        var id = await HearSyncAsync();
        await _pair.SayAsync("half an answer {\"return\":", Patience);
        await _pair.SayAsync("{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error, stray\"}}\n", Patience);
        await _pair.SayAsync($"{{\"return\": {id}}}\n\u00ff{{\"return\": 1}}\nrubbish", Patience);
        await _pair.SayAsync($"\u00ff{{\"return\": {id}}}\n", Patience);
        Assert.That(await _pair.HearAsync(Patience), Does.Contain("guest-ping"));
        await _pair.SayAsync("{\"return\": {}}\n", Patience);
        await StateAsync(AgentState.Ready);
    }

    [Test]
    public async Task A_silent_agent_is_asked_again_after_pauses()
    {
        _agent.Start(maybeOpen: true);
        await HearSyncAsync();
        await HearSyncAsync();
        await AnswerSyncAsync();
        await _pair.HearAsync(Patience);
        await _pair.SayAsync("{\"return\": {}}\n", Patience);
        await StateAsync(AgentState.Connecting);
        await StateAsync(AgentState.Ready);
    }

    [Test]
    public async Task A_late_answer_never_answers_the_next_command()
    {
        await ReadyAsync();
        var late = await ErrorAsync(() => _agent.ExecuteAsync("guest-first", null, Short, Patience));
        Assert.That(late.Code, Is.EqualTo(ErrorCode.MgmtTimeoutError));
        Assert.That(await _pair.HearAsync(Patience), Does.Contain("guest-first"));
        await StateAsync(AgentState.Lost);
        await _pair.SayAsync("{\"return\": \"first\"}\n", Patience);
        await AnswerSyncAsync();
        await _pair.HearAsync(Patience);
        await _pair.SayAsync("{\"return\": {}}\n", Patience);
        await StateAsync(AgentState.Ready);
        Assert.That((await AskAsync("{\"return\": \"second\"}\n")).GetString(), Is.EqualTo("second"));
    }

    [TestCase("guest-fsfreeze-thaw", "{\"return\": 1}\n")]
    [TestCase("guest-fsfreeze-status", "{\"return\": \"thawed\"}\n")]
    [TestCase("guest-fsfreeze-status", "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"no\"}}\n")]
    public async Task While_the_guest_may_be_frozen_other_commands_wait(string release, string answer)
    {
        await ReadyAsync();
        var freeze = _agent.ExecuteAsync("guest-fsfreeze-freeze", null, Long, Patience);
        Assert.That(await _pair.HearAsync(Patience), Does.Contain("guest-fsfreeze-freeze"));
        var waits = _agent.ExecuteAsync("guest-exec", null, Long, Patience);
        await _pair.SayAsync("{\"return\": 1}\n", Patience);
        await freeze;
        var first = _agent.ExecuteAsync(release, null, Long, Patience);
        Assert.That(await _pair.HearAsync(Patience), Does.Contain(release));
        Assert.That(waits.IsCompleted, Is.False);
        await _pair.SayAsync(answer, Patience);
        await Task.WhenAny(first);
        _ = first.Exception;
        Assert.That(await _pair.HearAsync(Patience), Does.Contain("guest-exec"));
        await _pair.SayAsync("{\"return\": \"done\"}\n", Patience);
        Assert.That((await waits).GetString(), Is.EqualTo("done"));
    }

    [Test]
    public async Task After_a_caller_gave_up_the_next_command_gets_into_step_first()
    {
        await ReadyAsync();
        using var givingUp = new CancellationTokenSource();
        var abandoned = _agent.ExecuteAsync("guest-first", null, Long, givingUp.Token);
        await _pair.HearAsync(Patience);
        await givingUp.CancelAsync();
        await Assert.ThatAsync(() => abandoned, Throws.InstanceOf<OperationCanceledException>());
        var next = _agent.ExecuteAsync("guest-second", null, Long, Patience);
        await _pair.SayAsync("{\"return\": \"first\"}\n", Patience);
        await AnswerSyncAsync();
        await _pair.HearAsync(Patience);
        await _pair.SayAsync("{\"return\": \"second\"}\n", Patience);
        Assert.That((await next).GetString(), Is.EqualTo("second"));
    }

    [Test]
    public async Task An_answer_cut_at_every_byte_arrives_whole()
    {
        await ReadyAsync();
        const string Answer = "{\"return\": {\"name\": \"G\u00c3\u00a4st\"}}\n";
        for (var cut = 1; cut < Answer.Length; cut++)
        {
            var asked = _agent.ExecuteAsync("guest-get-osinfo", null, Long, Patience);
            await _pair.HearAsync(Patience);
            await _pair.SayAsync(Answer[..cut], Patience);
            await _pair.SayAsync(Answer[cut..], Patience);
            Assert.That((await asked).GetProperty("name").GetString(), Is.EqualTo("Gäst"));
        }
    }

    [Test]
    public async Task Bad_UTF8_becomes_replacement_characters()
    {
        await ReadyAsync();
        Assert.That((await AskAsync("{\"return\": \"a\u00c3(\u0080\"}\n")).GetString(), Is.EqualTo("a\ufffd(\ufffd"));
    }

    private static IEnumerable<TestCaseData> Nonsense()
    {
        yield return new TestCaseData("junk\n").SetArgDisplayNames("junk");
        yield return new TestCaseData("{}\n").SetArgDisplayNames("neither return nor error");
        yield return new TestCaseData("\n").SetArgDisplayNames("an empty line");
        yield return new TestCaseData("{\"return\": \"\\udfff\"}\n").SetArgDisplayNames("half a surrogate pair");
        yield return new TestCaseData("{\"return\":" + new string('[', 10_000) + new string(']', 10_000) + "}\n").SetArgDisplayNames("10 000 brackets");
        yield return new TestCaseData("{\"return\": [" + string.Concat(Enumerable.Repeat("0,", AgentChannel.MaxTokens)) + "0]}\n").SetArgDisplayNames("too many values");
        yield return new TestCaseData(new string('x', AgentChannel.MaxLineBytes + 8192) + "\n").SetArgDisplayNames("a huge line");
    }

    [TestCaseSource(nameof(Nonsense))]
    public async Task Nonsense_fails_the_command_and_the_agent_is_found_again(string said)
    {
        await ReadyAsync();
        Assert.That((await ErrorAsync(() => AskAsync(said))).Code, Is.EqualTo(ErrorCode.MgmtUnavailableError));
        await StateAsync(AgentState.Lost);
        await AnswerSyncAsync();
        await _pair.HearAsync(Patience);
        await _pair.SayAsync("{\"return\": {}}\n", Patience);
        await StateAsync(AgentState.Ready);
    }

    [Test]
    public async Task The_agents_own_error_comes_with_its_words_and_stays_in_step()
    {
        await ReadyAsync();
        var refused = await ErrorAsync(() => AskAsync("{\"error\": {\"class\": \"GenericError\", \"desc\": \"100% \\u001b[2J no\"}}\n"));
        Assert.That((refused.Code, refused.Fields[1]), Is.EqualTo((ErrorCode.QubesException, "100% _[2J no")));
        var missing = await ErrorAsync(() => AskAsync("{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"x\"}}\n"));
        Assert.That(missing.Code, Is.EqualTo(ErrorCode.MgmtUnsupportedError));
        Assert.That((await AskAsync("{\"return\": 1}\n")).GetInt32(), Is.EqualTo(1));
    }

    [Test]
    public async Task Arguments_that_are_no_JSON_are_the_callers_mistake()
    {
        await ReadyAsync();
        var error = await ErrorAsync(() => _agent.ExecuteAsync("guest-info", "{\"a\":", Long, Patience));
        Assert.That(error.Code, Is.EqualTo(ErrorCode.QubesValueError));
        Assert.That((await AskAsync("{\"return\": 1}\n")).GetInt32(), Is.EqualTo(1));
    }

    [Test]
    public async Task The_queue_is_bounded()
    {
        await ReadyAsync();
        var running = _agent.ExecuteAsync("guest-slow", null, Long, Patience);
        await _pair.HearAsync(Patience);
        var queued = Enumerable.Range(0, GuestAgentSession.QueueCapacity).Select(_ => _agent.ExecuteAsync("guest-next", null, Long, Patience)).ToList();
        Assert.That((await ErrorAsync(() => _agent.ExecuteAsync("guest-over", null, Long, Patience))).Code, Is.EqualTo(ErrorCode.MgmtBusyError));
        _agent.PortChanged(false);
        foreach (var one in queued.Prepend(running))
        {
            Assert.That((await ErrorAsync(() => one)).Code, Is.EqualTo(ErrorCode.MgmtUnavailableError));
        }
        await StateAsync(AgentState.Lost);
    }

    [Test]
    public async Task A_command_that_is_silent_on_success_is_done_when_nothing_is_said()
    {
        await ReadyAsync();
        var sent = _agent.SendAsync("guest-shutdown", """{"mode":"powerdown"}""", Patience);
        Assert.That(await _pair.HearAsync(Patience), Is.EqualTo("""{"execute":"guest-shutdown","arguments":{"mode":"powerdown"}}"""));
        await sent;
        var refused = _agent.SendAsync("guest-shutdown", null, Patience);
        await AnswerSyncAsync();
        await _pair.HearAsync(Patience);
        await _pair.SayAsync("{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}}\n", Patience);
        Assert.That((await ErrorAsync(() => refused)).Code, Is.EqualTo(ErrorCode.QubesException));
    }

    [Test]
    public async Task The_end_of_the_socket_is_a_lost_agent()
    {
        await ReadyAsync();
        var asked = _agent.ExecuteAsync("guest-ping", null, Long, Patience);
        await _pair.HearAsync(Patience);
        _pair.Peer.Close();
        Assert.That((await ErrorAsync(() => asked)).Code, Is.EqualTo(ErrorCode.MgmtUnavailableError));
        await StateAsync(AgentState.Lost);
    }

    private async Task ReadyAsync()
    {
        _agent.Start(maybeOpen: true);
        await AnswerSyncAsync();
        await _pair.HearAsync(Patience);
        await _pair.SayAsync("{\"return\": {}}\n", Patience);
        await StateAsync(AgentState.Connecting);
        await StateAsync(AgentState.Ready);
    }

    private async Task<JsonElement> AskAsync(string answer)
    {
        var asked = _agent.ExecuteAsync("guest-info", null, Long, Patience);
        await _pair.HearAsync(Patience);
        await _pair.SayAsync(answer, Patience);
        return await asked;
    }

    private async Task AnswerSyncAsync() => await _pair.SayAsync($"\u00ff{{\"return\": {await HearSyncAsync()}}}\n", Patience);

    private async Task<string> HearSyncAsync()
    {
        var line = await _pair.HearAsync(Patience);
        Assert.That(line, Does.StartWith("\u00ff{\"execute\":\"guest-sync-delimited\""));
        using var command = JsonDocument.Parse(line[1..]);
        return command.RootElement.GetProperty("arguments").GetProperty("id").GetRawText();
    }

    private async Task StateAsync(AgentState wanted) => Assert.That(await _states.Reader.ReadAsync(Patience), Is.EqualTo(wanted));

    private static async Task<MgmtException> ErrorAsync(Func<Task> action) => (await Assert.ThrowsAsync<MgmtException>(() => action()))!;
}
