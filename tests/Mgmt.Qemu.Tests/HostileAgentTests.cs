using System.Text;
using System.Text.Json;
using System.Threading.Channels;
using Mgmt.Core;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mgmt.Qemu.Tests;

/// <summary>An agent that wants to harm us, or is broken. Each of these leaves the session as it found it: the next command gets its own answer.</summary>
public sealed class HostileAgentTests
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(20);
    private static readonly AgentTimes Quick = new()
    {
        Sync = TimeSpan.FromSeconds(10), FirstPause = TimeSpan.FromMilliseconds(1), LongestPause = TimeSpan.FromMilliseconds(20), SilentSuccess = TimeSpan.FromMilliseconds(20),
    };

    private readonly List<SocketPair> _pairs = [];
    private SocketPair _pair;
    private Channel<SocketPair> _connected;
    private Channel<AgentState> _states;
    private CancellationTokenSource _patience;
    private GuestAgentSession _agent;

    private CancellationToken Patience => _patience.Token;

    [SetUp]
    public async Task Open()
    {
        _patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        _states = Channel.CreateUnbounded<AgentState>();
        _connected = Channel.CreateUnbounded<SocketPair>();
        _agent = new GuestAgentSession(
            _ =>
            {
                var pair = new SocketPair();
                _pairs.Add(pair);
                _connected.Writer.TryWrite(pair);
                return Task.FromResult<Stream>(pair.Ours);
            },
            state => _states.Writer.TryWrite(state), Quick, TimeProvider.System, NullLogger.Instance);
        _agent.Start(maybeOpen: true);
        _pair = await _connected.Reader.ReadAsync(Patience);
        await StateAsync(AgentState.Connecting);
        await GreetAsync();
    }

    [TearDown]
    public async Task Close()
    {
        await _agent.DisposeAsync();
        _pairs.ForEach(pair => pair.Dispose());
        _pairs.Clear();
        _patience.Dispose();
    }

    private static IEnumerable<TestCaseData> Answers()
    {
        yield return Case("\"return\"", "a text");
        yield return Case("[]", "a list");
        yield return Case("7", "a number");
        yield return Case("{\"return\":", "half an object");
        yield return Case("{\"error\":7}", "an error that is a number", ErrorCode.QubesException);
        yield return Case("{\"error\":{\"class\":[],\"desc\":{}}}", "an error without words", ErrorCode.QubesException);
        yield return Case(new string('[', 10_000) + new string(']', 10_000), "nested 10 000 deep");
        yield return Case("{\"return\":" + string.Concat(Enumerable.Repeat("{\"a\":", 10_000)) + "1" + new string('}', 10_001), "an answer nested 10 000 deep");
        yield return Case("{\"return\":[" + string.Join(',', Enumerable.Repeat("0", 520_000)) + "]}", "half a million values");
        yield return Case("{\"return\":\"\\ud800\"}", "half a surrogate");
        yield return Case("{\"return\":\"a\u0000b\"}", "a raw NUL");
        yield return Case("\u0080\u0081\u00fe", "bytes that are no UTF-8");
        yield return Case("{\"return\":\"" + new string('x', AgentChannel.PlainLineBytes + 100) + "\"}", "a line longer than its command's");
        yield return Case("", "an empty line");

        static TestCaseData Case(string line, string name, ErrorCode code = ErrorCode.MgmtUnavailableError) => new TestCaseData(line, code).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(Answers))]
    public async Task Nonsense_is_an_error_and_the_next_command_gets_its_own_answer(string line, ErrorCode code)
    {
        var asked = _agent.ExecuteAsync("guest-get-osinfo", null, Long, Patience);
        await _pair.HearAsync(Patience);
        await _pair.SayAsync(line + "\n", Patience);
        Assert.That((await ErrorAsync(asked)).Code, Is.EqualTo(code));
        if (code == ErrorCode.MgmtUnavailableError)
        {
            await StateAsync(AgentState.Lost);
            await GreetAsync();
        }
        await NextIsItsOwnAsync();
    }

    [Test]
    public async Task Ten_thousand_interfaces_are_what_they_are_or_too_much()
    {
        // 1.3 MB: more than the row of guest-network-get-interfaces says.
        var many = string.Join(',', Enumerable.Repeat("{\"name\":\"\\u001b[2J with a name that is rather long\",\"ip-addresses\":[{\"ip-address\":\"10.0.0.1\",\"ip-address-type\":\"ipv4\",\"prefix\":8}]}", 10_000));
        var asked = _agent.RunAsync(AgentCommands.NetworkInterfaces, Patience);
        await _pair.HearAsync(Patience);
        await _pair.SayAsync($"{{\"return\":[{many}]}}\n", Patience);
        Assert.That((await ErrorAsync(asked)).Message, Does.Contain("too long"));
        await StateAsync(AgentState.Lost);
        await GreetAsync();
        await NextIsItsOwnAsync();
        var fewer = _agent.RunAsync(AgentCommands.NetworkInterfaces, Patience);
        await _pair.HearAsync(Patience);
        await _pair.SayAsync($"{{\"return\":[{string.Join(',', Enumerable.Repeat("{\"name\":\"eth\"}", 10_000))}]}}\n", Patience);
        Assert.That(await fewer, Has.Count.EqualTo(10_000));
    }

    [Test]
    public async Task A_line_of_a_gigabyte_is_read_away_without_being_held()
    {
        var chunk = Encoding.ASCII.GetBytes(new string('x', 4 << 20));
        var asked = _agent.ExecuteAsync("guest-get-osinfo", null, TimeSpan.FromSeconds(50), Patience);
        await _pair.HearAsync(Patience);
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var most = 0L;
        for (var sent = 0L; sent < 1L << 30; sent += chunk.Length)
        {
            await _pair.SayAsync(chunk, Patience);
            most = Math.Max(most, GC.GetTotalMemory(forceFullCollection: false) - before);
        }
        await _pair.SayAsync("\n", Patience);
        Assert.That((await ErrorAsync(asked)).Message, Does.Contain("too long"));
        Assert.That(most, Is.LessThan(128L << 20));
        await StateAsync(AgentState.Lost);
        await GreetAsync();
        await NextIsItsOwnAsync();
    }

    [TestCase("guest-get-time", "\"late\"")]
    [TestCase("guest-get-time", "1e99")]
    [TestCase("guest-get-users", "{}")]
    [TestCase("guest-get-users", "[null]")]
    [TestCase("guest-info", "{\"version\":null,\"supported_commands\":[]}")]
    [TestCase("guest-info", "{\"version\":\"1\",\"supported_commands\":[{\"name\":\"x\"}]}")]
    [TestCase("guest-file-open", "{\"handle\":1}")]
    public async Task Wrong_types_are_the_agents_fault_and_it_stays_in_step(string name, string answer)
    {
        var asked = name switch
        {
            "guest-get-time" => (Task)_agent.RunAsync(AgentCommands.Time, Patience),
            "guest-get-users" => _agent.RunAsync(AgentCommands.Users, Patience),
            "guest-info" => _agent.RunAsync(AgentCommands.Info, Patience),
            _ => _agent.RunAsync(AgentCommands.FileOpen, new("/x"), Patience),
        };
        await _pair.HearAsync(Patience);
        await _pair.SayAsync($"{{\"return\":{answer}}}\n", Patience);
        Assert.That((await ErrorAsync(asked)).Code, Is.EqualTo(ErrorCode.MgmtUnavailableError));
        await NextIsItsOwnAsync();
    }

    [Test]
    public async Task Answers_to_nothing_never_answer_a_command()
    {
        // Said while nobody asks, it waits in the socket: the stream is brought into step first.
        await _pair.SayAsync("{\"return\":\"unasked\"}\n{\"ret", Patience);
        await SkipsAsync();
        await NextIsItsOwnAsync();
        await _pair.SayAsync("\n", Patience);
        await SkipsAsync();
    }

    [Test]
    public async Task Half_an_answer_and_then_the_end_is_an_error_at_every_byte()
    {
        const string Answer = "{\"return\": {\"id\": \"demo\", \"name\": \"G\u00c3\u00a4st\"}}\n";
        for (var cut = 0; cut < Answer.Length; cut++)
        {
            var asked = _agent.ExecuteAsync("guest-get-osinfo", null, Long, Patience);
            await _pair.HearAsync(Patience);
            await _pair.SayAsync(Answer[..cut], Patience);
            _pair.Peer.Close();
            Assert.That((await ErrorAsync(asked)).Code, Is.EqualTo(ErrorCode.MgmtUnavailableError), $"cut at {cut}");
            await StateAsync(AgentState.Lost);
            _pair = await _connected.Reader.ReadAsync(Patience);
            await GreetAsync();
        }
        await NextIsItsOwnAsync();
    }

    [Test]
    public async Task Half_an_answer_and_then_the_rest_after_the_deadline_answers_nothing_at_every_byte()
    {
        const string Answer = "{\"return\": \"late\"}\n";
        for (var cut = 0; cut < Answer.Length; cut++)
        {
            var asked = _agent.ExecuteAsync("guest-get-osinfo", null, TimeSpan.FromMilliseconds(30), Patience);
            await _pair.HearAsync(Patience);
            await _pair.SayAsync(Answer[..cut], Patience);
            Assert.That((await ErrorAsync(asked)).Code, Is.EqualTo(ErrorCode.MgmtTimeoutError), $"cut at {cut}");
            await StateAsync(AgentState.Lost);
            await _pair.SayAsync(Answer[cut..], Patience);
            await GreetAsync();
            await NextIsItsOwnAsync();
        }
    }

    private async Task NextIsItsOwnAsync()
    {
        var asked = _agent.ExecuteAsync("guest-get-osinfo", null, Long, Patience);
        await _pair.HearAsync(Patience);
        await _pair.SayAsync("{\"return\":\"its own\"}\n", Patience);
        Assert.That((await asked).GetString(), Is.EqualTo("its own"));
    }

    /// <summary>What is left over in the socket is skipped before the next command is written.</summary>
    private async Task SkipsAsync()
    {
        var asked = _agent.ExecuteAsync("guest-get-osinfo", null, Long, Patience);
        var line = await _pair.HearAsync(Patience);
        Assert.That(line, Does.Contain("guest-sync-delimited"));
        await _pair.SayAsync($"\u00ff{{\"return\": {Id(line)}}}\n", Patience);
        await _pair.HearAsync(Patience);
        await _pair.SayAsync("{\"return\":\"its own\"}\n", Patience);
        Assert.That((await asked).GetString(), Is.EqualTo("its own"));
    }

    private async Task GreetAsync()
    {
        await _pair.SayAsync($"\u00ff{{\"return\": {Id(await _pair.HearAsync(Patience))}}}\n", Patience);
        Assert.That(await _pair.HearAsync(Patience), Does.Contain("guest-ping"));
        await _pair.SayAsync("{\"return\": {}}\n", Patience);
        await StateAsync(AgentState.Ready);
    }

    private static string Id(string line)
    {
        using var command = JsonDocument.Parse(line[1..]);
        return command.RootElement.GetProperty("arguments").GetProperty("id").GetRawText();
    }

    private async Task StateAsync(AgentState wanted)
    {
        while (await _states.Reader.ReadAsync(Patience) != wanted)
        {
        }
    }

    private static async Task<MgmtException> ErrorAsync(Task asked) => (await Assert.ThrowsAsync<MgmtException>(() => asked))!;
}
