using System.Diagnostics;
using System.Threading.Channels;
using System.Net.Sockets;
using System.Text;
using Mgmt.Testing;
using Mgmt.Wire.Tests;

namespace Mgmt.Cli.Tests;

[CancelAfter(30_000)]
public sealed class PolicyAgentVerbTests
{
    private const string Waiting = "waiting for questions; Ctrl-C to leave\n";
    private readonly string _path = ScriptedDaemon.NewPath();
    private readonly ManualTime _time = new();

    [TestCase("1", "allow:work", "allowed: work")]
    [TestCase("\r", "allow:vault", "allowed: vault")]
    [TestCase("n", "deny", "denied")]
    public async Task A_key_answers_the_question_that_is_shown(string key, string answer, string said, CancellationToken token)
    {
        var keys = new TestKeys();
        await using var daemon = Daemon(Frame("policy-ask", Question("q1", "work vault", "vault")));
        var (ctl, run, leave) = Start(keys, token);
        await UntilAsync(() => ctl.Out.Contains(" s ", StringComparison.Ordinal), token);
        _time.Advance(500);
        await keys.PressAsync(key, token);
        await UntilAsync(() => ctl.Out.Contains(said, StringComparison.Ordinal), token);
        await leave.CancelAsync();

        Assert.That(await run, Is.EqualTo(130));
        Assert.That(daemon.Requests, Is.EqualTo(new[] { "mgmt.policy.Agent+ dom0 name dom0\0", $"mgmt.policy.Answer+q1 dom0 name dom0\0{answer}" }));
        Assert.That(ctl.Out, Does.StartWith(Waiting + "\nweb calls mgmt.vm.Start\n  argument  none\n  target    1  work\n            2  vault  (default)\n  asked by  30-user.policy:4\n\r[1-2: allow"));
    }

    [Test]
    public async Task Keys_before_and_right_after_a_question_and_pasted_ones_decide_nothing(CancellationToken token)
    {
        var keys = new TestKeys();
        var ask = new TaskCompletionSource();
        await using var daemon = Daemon(ask.Task, Frame("policy-ask", Question("q1", "work vault", "")));
        var (ctl, run, leave) = Start(keys, token);
        await keys.PressAsync("1", token);
        ask.SetResult();
        await UntilAsync(() => ctl.Out.Contains(" s ", StringComparison.Ordinal), token);
        _time.Advance(499);
        await keys.PressAsync("1", token);
        _time.Advance(1);
        // A paste, and an arrow key.
        await keys.PressAsync("1\n", token);
        await keys.PressAsync("\x1b[A", token);
        await keys.PressAsync("2", token);
        await UntilAsync(() => ctl.Out.Contains("allowed: vault", StringComparison.Ordinal), token);
        await leave.CancelAsync();

        await run;
        Assert.That(daemon.Requests.Skip(1), Is.EqualTo(new[] { "mgmt.policy.Answer+q1 dom0 name dom0\0allow:vault" }));
    }

    [Test]
    public async Task Questions_come_one_after_the_other_and_go_when_they_are_over(CancellationToken token)
    {
        var keys = new TestKeys();
        var ended = new TaskCompletionSource();
        await using var daemon = new ScriptedDaemon(_path, async (request, socket, stop) =>
        {
            if (request.StartsWith("mgmt.policy.Answer", StringComparison.Ordinal))
            {
                await SendAsync(socket, "0\0", stop);
                return;
            }
            await SendAsync(socket, Frame("connection-established") + Frame("policy-ask", Question("q1", "work", "")) + Frame("policy-ask", Question("q2", "vault", ""))
                + Frame("policy-ask", Question("q3", "mail", "")) + Frame("policy-ask-ended", "id", "q2", "outcome", "timeout"), stop);
            await ended.Task.WaitAsync(stop);
            await SendAsync(socket, Frame("policy-ask-ended", "id", "q1", "outcome", "cancelled"), stop);
            await Task.Delay(Timeout.Infinite, stop);
        });
        var (ctl, run, leave) = Start(keys, token);
        await UntilAsync(() => ctl.Out.Contains("1  work", StringComparison.Ordinal), token);
        ended.SetResult();
        await UntilAsync(() => ctl.Out.Contains("1  mail", StringComparison.Ordinal), token);
        Assert.That(ctl.Out, Does.Contain("\nnot needed any more: cancelled\n").And.Not.Contain("vault"));
        // The time of a question runs also while it waits for its turn.
        _time.Advance(60_000);
        await UntilAsync(() => ctl.Out.Contains("denied: no answer in time", StringComparison.Ordinal), token);
        await leave.CancelAsync();

        await run;
        Assert.That(daemon.Requests, Has.Count.EqualTo(1));
    }

    [Test]
    public async Task It_comes_back_after_a_restart_and_is_told_anew_what_waits(CancellationToken token)
    {
        var keys = new TestKeys();
        Ctl ctl;
        Task<int> run;
        CancellationTokenSource leave;
        await using (Daemon(Frame("policy-ask", Question("q1", "work", ""))))
        {
            (ctl, run, leave) = Start(keys, token);
            await UntilAsync(() => ctl.Out.Contains("1  work", StringComparison.Ordinal), token);
        }
        await using var second = Daemon(Frame("policy-ask", Question("q2", "vault", "")));
        await UntilAsync(() =>
        {
            _time.Advance(100);
            return ctl.Out.Contains("1  vault", StringComparison.Ordinal);
        }, token);
        Assert.That(ctl.Out, Does.Contain("\nthe daemon was restarted\n" + Waiting));
        await leave.CancelAsync();
        await run;
    }

    [Test]
    public async Task What_the_daemon_says_to_an_answer_is_told(CancellationToken token)
    {
        var keys = new TestKeys();
        await using var daemon = Daemon(Frame("policy-ask", Question("q1", "work", "")), "2\0QubesValueError\0\0No question %s is pending\0q1\0");
        var (ctl, run, leave) = Start(keys, token);
        await UntilAsync(() => ctl.Out.Contains(" s ", StringComparison.Ordinal), token);
        _time.Advance(500);
        await keys.PressAsync("1", token);
        await UntilAsync(() => ctl.Error.Length > 0, token);
        await leave.CancelAsync();
        await run;
        Assert.That(ctl.Error, Is.EqualTo("mgmtctl: No question q1 is pending\n"));
    }

    [TestCase(true, false)]
    [TestCase(false, true)]
    public async Task Without_a_terminal_it_refuses_and_says_so(bool input, bool output, CancellationToken token)
    {
        var ctl = new Ctl(_path) { InputIsTerminal = input, OutIsTerminal = output };
        Assert.That(await ctl.RunAsync(token, "policy", "agent"), Is.EqualTo(2));
        Assert.That(ctl.Error, Is.EqualTo("mgmtctl: policy agent asks somebody at a terminal; standard input and output have to be one (see 'mgmtctl policy agent --help')\n"));
    }

    [TestCase("2\0PermissionDenied\0\0Denied by policy\0", 126, "mgmtctl: Denied by policy\n")]
    [TestCase("2\0MgmtBusyError\0\0There are 16 agents\0", 1, "mgmtctl: There are 16 agents\n")]
    public async Task A_refusal_ends_it(string reply, int code, string error, CancellationToken token)
    {
        await using var daemon = ScriptedDaemon.Answering(_path, reply);
        var (ctl, run, _) = Start(new TestKeys(), token);
        Assert.That((await run, ctl.Error), Is.EqualTo((code, error)));
    }

    [Test]
    public async Task A_right_that_is_withdrawn_ends_it(CancellationToken token)
    {
        await using var daemon = Daemon(Frame("stream-closed", "reason", "denied"));
        var (ctl, run, _) = Start(new TestKeys(), token);
        Assert.That((await run, ctl.Error), Is.EqualTo((126, "mgmtctl: the daemon closed the stream: denied\n")));
    }

    [TestCase("n", "mgmt.policy.Answer+q1 dom0 name dom0\0deny")]
    [TestCase("1", "mgmt.policy.Answer+q1 dom0 name dom0\0allow:work")]
    public async Task On_a_real_terminal_a_key_decides_and_Ctrl_C_leaves_it_as_it_was(string key, string request, CancellationToken token)
    {
        await using var daemon = Daemon(Frame("policy-ask", Question("q1", "work", "")));
        var program = Path.Combine(AppContext.BaseDirectory, "mgmtctl");
        // The shell's trap keeps it alive when Ctrl-C reaches both.
        var script = $"trap : INT; {program} --socket {_path} policy agent; echo \"left with $?\"; stty -a";
        using var terminal = Process.Start(new ProcessStartInfo("script", ["-q", "-e", "-c", $"bash -c '{script}'", "/dev/null"]) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        var output = new StringBuilder();
        terminal.OutputDataReceived += (_, line) => Append(output, line.Data);
        terminal.BeginOutputReadLine();
        await UntilAsync(() => Text(output).Contains("asked by", StringComparison.Ordinal), token);
        // Not in the first moment: it is pressed until it counts.
        await UntilAsync(() => daemon.Requests.Count > 1 || Press(terminal, key), token);
        await UntilAsync(() => Text(output).Contains(key == "n" ? "denied" : "allowed: work", StringComparison.Ordinal), token);
        Press(terminal, "\x03");
        await terminal.WaitForExitAsync(token);

        Assert.That(daemon.Requests[1], Is.EqualTo(request));
        Assert.That(Text(output), Does.Contain("left with 130").And.Match("[ ;]icanon").And.Match("[ ;]echo "));
    }

    private ScriptedDaemon Daemon(string frames, string reply = "0\0") => Daemon(Task.CompletedTask, frames, reply);

    private ScriptedDaemon Daemon(Task before, string frames, string reply = "0\0") => new(_path, async (request, socket, stop) =>
    {
        if (!request.StartsWith("mgmt.policy.Agent", StringComparison.Ordinal))
        {
            await SendAsync(socket, reply, stop);
            return;
        }
        await SendAsync(socket, Frame("connection-established"), stop);
        await before.WaitAsync(stop);
        await SendAsync(socket, frames, stop);
        await Task.Delay(Timeout.Infinite, stop);
    });

    private (Ctl Ctl, Task<int> Run, CancellationTokenSource Leave) Start(TestKeys keys, CancellationToken token)
    {
        var leave = CancellationTokenSource.CreateLinkedTokenSource(token);
        var ctl = new Ctl(_path) { InputIsTerminal = true, OutIsTerminal = true, Keys = keys, Time = _time };
        return (ctl, ctl.RunAsync(leave.Token, "policy", "agent"), leave);
    }

    private static string[] Question(string id, string targets, string preselected) =>
        ["id", id, "source", "web", "service", "mgmt.vm.Start", "argument", "+", "targets", targets, "default", preselected, "rule", "30-user.policy:4", "left_ms", "60000"];

    private static string Frame(string name, params string[] pairs) => $"1\0\0{name}\0{string.Concat(pairs.Select(text => text + "\0"))}\0";

    private static async Task SendAsync(Socket socket, string latin1, CancellationToken token) => await socket.SendAsync(Encoding.Latin1.GetBytes(latin1), token);

    private static bool Press(Process terminal, string key)
    {
        terminal.StandardInput.Write(key);
        terminal.StandardInput.Flush();
        return false;
    }

    private static void Append(StringBuilder output, string? line)
    {
        lock (output)
        {
            output.AppendLine(line);
        }
    }

    private static string Text(StringBuilder output)
    {
        lock (output)
        {
            return output.ToString();
        }
    }

    /// <summary>Output in memory gives no signal, so it is looked at until the test's deadline.</summary>
    private static async Task UntilAsync(Func<bool> condition, CancellationToken token)
    {
        while (!condition())
        {
            await Task.Delay(5, token);
        }
    }

    /// <summary>A keyboard whose keys the test presses.</summary>
    private sealed class TestKeys : Stream
    {
        private readonly Channel<byte[]> _pressed = Channel.CreateUnbounded<byte[]>();
        private readonly SemaphoreSlim _taken = new(0);
        private bool _first = true;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        /// <summary>Bytes that come together; returns when the program has taken them and reads on.</summary>
        public async Task PressAsync(string keys, CancellationToken token)
        {
            _pressed.Writer.TryWrite(Encoding.ASCII.GetBytes(keys));
            await _taken.WaitAsync(token);
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (!_first)
            {
                _taken.Release();
            }
            _first = false;
            var bytes = await _pressed.Reader.ReadAsync(cancellationToken);
            bytes.CopyTo(buffer);
            return bytes.Length;
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
