using System.Net.Sockets;
using System.Text;
using Mgmt.Wire.Tests;

namespace Mgmt.Cli.Tests;

[CancelAfter(20_000)]
public sealed class EventsVerbTests
{
    private const string Epoch = "00000000000000ab.";
    private readonly string _path = ScriptedDaemon.NewPath();

    [Test]
    public async Task Events_are_lines_until_the_daemon_closes(CancellationToken token)
    {
        var (code, ctl, requests) = await Ctl.AgainstAsync(
            Frame("", "connection-established", 1) + Frame("work", "domain-start", 2, "start_guid", "a\tb") + Frame("", "bookmark", 2) + Frame("", "label-add", 3, "label", "teal"),
            token, "events", "--subject", "work", "--subject", "", "--event", "domain-*", "--event", "label-*");
        Assert.That((code, ctl.Out), Is.EqualTo((0, "work\tdomain-start\tstart_guid=a\\tb\n\tlabel-add\tlabel=teal\n")));
        Assert.That(requests.Single(), Is.EqualTo("mgmt.Events+ dom0 name dom0\0since=now\nsubject=work\nsubject=\nevent=domain-*\nevent=label-*\n"));
    }

    [Test]
    public async Task Events_are_JSON_objects_on_lines_with_their_cursor(CancellationToken token)
    {
        var (_, ctl, requests) = await Ctl.AgainstAsync(Frame("work", "domain-start", 2, "a", "1"), token, "events", "--json", "--since", Epoch + "1");
        Assert.That(ctl.Out, Is.EqualTo("{\"subject\":\"work\",\"event\":\"domain-start\",\"values\":{\"a\":\"1\"},\"cursor\":\"00000000000000ab.2\"}\n"));
        Assert.That(requests.Single(), Does.EndWith("\0since=00000000000000ab.1\n"));
    }

    [TestCase("2\0PermissionDenied\0\0Denied\0", 126)]
    [TestCase("2\0ProtocolError\0\0bad\0", 1)]
    [TestCase("1\0work\0domain-st", 1)]
    [TestCase("", 1)]
    public async Task A_stream_that_is_refused_or_cut_off_is_an_error(string answer, int expected, CancellationToken token)
    {
        var (code, ctl, _) = await Ctl.AgainstAsync(answer, token, "events");
        Assert.That((code, ctl.Error.Count(c => c == '\n')), Is.EqualTo((expected, 1)));
    }

    [Test]
    public async Task Following_goes_on_after_a_restart_with_the_last_cursor_and_tells_what_is_gone(CancellationToken token)
    {
        var ctl = new Ctl(_path);
        Task<int> run;
        await using (var first = new ScriptedDaemon(_path, async (_, socket, stop) =>
        {
            // The last event is cut off, as by kill -9: it was not seen, so it must come again.
            await SendAsync(socket, Frame("", "connection-established", 1) + Frame("work", "domain-pre-start", 2) + Frame("", "bookmark", 3) + Frame("work", "domain-start", 4)[..^3], stop);
        }))
        {
            run = ctl.RunAsync(token, "events", "--follow");
            await UntilAsync(() => ctl.Out.Contains("domain-pre-start", StringComparison.Ordinal), token);
            await UntilAsync(() => first.Requests.Count >= 1, token);
            Assert.That(first.Requests[0], Is.EqualTo("mgmt.Events+ dom0 name dom0\0since=now\n"));
        }
        var answers = new Queue<string>(
        [
            Frame("", "connection-established", 3) + Frame("work", "domain-start", 4),
            Frame("", "connection-established", 9) + Frame("", "gone", 9, "oldest", Epoch + "7") + Frame("work", "domain-paused", 10) + Frame("", "stream-closed", 10, "reason", "denied"),
        ]);
        await using var second = new ScriptedDaemon(_path, (_, socket, stop) => SendAsync(socket, answers.Dequeue(), stop));
        var code = await run.WaitAsync(token);
        Assert.Multiple(() =>
        {
            Assert.That(code, Is.EqualTo(126));
            Assert.That(second.Requests.Select(request => request.Split('\0')[1]), Is.EqualTo(new[] { $"since={Epoch}3\n", $"since={Epoch}4\n" }));
            Assert.That(ctl.Out, Is.EqualTo($"work\tdomain-pre-start\nwork\tdomain-start\n\tgone\toldest={Epoch}7\nwork\tdomain-paused\n\tstream-closed\treason=denied\n"));
            Assert.That(ctl.Error, Is.EqualTo($"mgmtctl: events were lost: the journal begins at {Epoch}7\nmgmtctl: the daemon closed the stream: denied\n"));
        });
    }

    [Test]
    public async Task Following_a_daemon_that_was_never_there_fails_at_once(CancellationToken token) =>
        Assert.That(await new Ctl("/nonexistent/s").RunAsync(token, "events", "--follow"), Is.EqualTo(1));

    [Test]
    public async Task Waiting_looks_when_something_happens_and_not_otherwise(CancellationToken token)
    {
        var states = new Queue<string>(["power_state=Halted agent=absent", "power_state=Transient agent=absent", "power_state=Running agent=connecting", "power_state=Running agent=ready agent_age_ms=3"]);
        await using var daemon = new ScriptedDaemon(_path, async (request, socket, stop) =>
        {
            if (request.StartsWith("mgmt.vm.CurrentState", StringComparison.Ordinal))
            {
                await SendAsync(socket, "0\0mem=0 " + states.Dequeue(), stop);
                return;
            }
            await SendAsync(socket, Frame("", "connection-established", 1) + Frame("work", "domain-pre-start", 2) + Frame("", "bookmark", 2) + Frame("work", "domain-start", 3) + Frame("work", "agent-state", 4, "agent", "ready"), stop);
            await Task.Delay(Timeout.Infinite, stop);
        });
        Assert.That(await new Ctl(_path).RunAsync(token, "wait", "work", "--state", "running", "--agent", "ready"), Is.Zero);
        Assert.Multiple(() =>
        {
            Assert.That(states, Is.Empty);
            Assert.That(daemon.Requests[0], Is.EqualTo("mgmt.Events+ dom0 name work\0since=now\nevent=domain-*\nevent=agent-*\nevent=fault-*\n"));
            Assert.That(daemon.Requests.Skip(1), Is.EqualTo(Enumerable.Repeat("mgmt.vm.CurrentState+ dom0 name work\0", 4)));
        });
    }

    [Test]
    public async Task Waiting_ends_with_a_reason_when_the_time_is_up(CancellationToken token)
    {
        await using var daemon = new ScriptedDaemon(_path, async (request, socket, stop) =>
        {
            await SendAsync(socket, request.StartsWith("mgmt.Events", StringComparison.Ordinal) ? Frame("", "connection-established", 1) : "0\0power_state=Halted agent=absent", stop);
            if (request.StartsWith("mgmt.Events", StringComparison.Ordinal))
            {
                await Task.Delay(Timeout.Infinite, stop);
            }
        });
        var ctl = new Ctl(_path);
        Assert.That((await ctl.RunAsync(token, "wait", "work", "--state", "Running", "--timeout", "0.5"), ctl.Error),
            Is.EqualTo((1, "mgmtctl: work was not there after 0.5 s; last seen: Halted, agent absent\n")));
    }

    [Test]
    public async Task Waiting_for_a_vm_that_is_removed_ends(CancellationToken token)
    {
        var (code, ctl, _) = await Ctl.AgainstAsync(
            request => request.StartsWith("mgmt.Events", StringComparison.Ordinal) ? Frame("", "connection-established", 1) + Frame("", "stream-closed", 2, "reason", "removed") : "0\0power_state=Running",
            token, "wait", "work", "--state", "Halted");
        Assert.That((code, ctl.Error), Is.EqualTo((1, "mgmtctl: work cannot be watched any more: removed\n")));
    }

    private static string Frame(string subject, string name, int sequence, params string[] pairs) =>
        $"1\0{subject}\0{name}\0{string.Concat(pairs.Select(text => text + "\0"))}cursor\0{Epoch}{sequence}\0\0";

    private static async Task SendAsync(Socket socket, string latin1, CancellationToken token) =>
        await socket.SendAsync(Encoding.Latin1.GetBytes(latin1), token);

    /// <summary>Output in memory gives no signal, so it is looked at until the test's deadline.</summary>
    private static async Task UntilAsync(Func<bool> condition, CancellationToken token)
    {
        while (!condition())
        {
            await Task.Delay(5, token);
        }
    }
}
