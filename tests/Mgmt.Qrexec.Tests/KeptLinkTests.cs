using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mgmt.Qrexec.Tests;

/// <summary>A control channel that outlives the daemon: the agent, which connects once in its life, does not notice.</summary>
public sealed class KeptLinkTests
{
    private const uint Domain = 7;
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);
    private static readonly string Ident = Convert.ToHexString("SOCKET13"u8) + new string('0', 48);
    private static readonly string OtherIdent = Convert.ToHexString("SOCKET14"u8) + new string('0', 48);

    private VchanGuest _guest = null!;
    private VchanDirectory _directory = null!;
    private Kept _kept = null!;
    private CancellationTokenSource _stop = null!;
    private Task _running = Task.CompletedTask;

    [SetUp]
    public void Start()
    {
        _guest = new VchanGuest();
        _directory = new VchanDirectory(_guest.Path, TimeProvider.System);
        _kept = new Kept();
        Run();
    }

    [TearDown]
    public async Task Stop()
    {
        await StopAsync();
        _directory.Dispose();
        _guest.Dispose();
    }

    [Test]
    public async Task The_next_daemon_takes_calls_on_the_same_channel_without_a_greeting()
    {
        var control = await GreetAsync();
        await AgainAsync();
        await control.SayAsync(Trigger("SOCKET13", "x"));
        await control.HearAsync("02020000 28000000 00000000 01020000" + Ident);
    }

    [Test]
    public async Task A_call_that_was_not_answered_is_refused_and_an_answered_one_is_not_answered_again()
    {
        var control = await GreetAsync();
        await control.SayAsync(Trigger("SOCKET13", "x"));
        await control.HearAsync("02020000 28000000 00000000 01020000" + Ident);
        await control.SayAsync(Trigger("SOCKET14", "pending"));
        await _kept.UntilAsync(state => state.Unanswered.Count == 1);
        await AgainAsync();
        await control.HearAsync("03020000 20000000" + OtherIdent);
        await control.SayAsync(Trigger("SOCKET15", "refused"));
        await control.HearAsync("03020000 20000000" + Convert.ToHexString("SOCKET15"u8) + new string('0', 48));
    }

    [Test]
    public async Task A_port_stays_taken_until_the_agent_gives_it_back()
    {
        var control = await GreetAsync();
        await control.SayAsync(Trigger("SOCKET13", "x"));
        await control.HearAsync("02020000 28000000 00000000 01020000" + Ident);
        await AgainAsync();
        await control.SayAsync(Trigger("SOCKET13", "x"));
        await control.HearAsync("02020000 28000000 00000000 02020000" + Ident);
        await control.SayAsync(Messages.Terminated(0, 513), Trigger("SOCKET13", "x"));
        await control.HearAsync("02020000 28000000 00000000 01020000" + Ident);
    }

    [Test]
    public async Task A_message_of_which_one_daemon_got_the_beginning_the_next_gets_the_end()
    {
        var control = await GreetAsync();
        var message = Trigger("SOCKET13", "refused");
        foreach (var cut in Enumerable.Range(1, message.Length - 1))
        {
            await control.SayAsync(message[..cut]);
            await _kept.UntilAsync(state => state.Unfinished.Length == cut);
            await AgainAsync();
            await control.SayAsync(message[cut..]);
            await control.HearAsync("03020000 20000000" + Ident);
        }
    }

    [Test]
    public async Task A_channel_of_which_more_was_read_than_written_down_is_closed_and_the_agent_dialled_again()
    {
        var control = await GreetAsync();
        var message = Trigger("SOCKET13", "refused");
        await control.SayAsync(message[..20]);
        await _kept.UntilAsync(state => state.Unfinished.Length == 20);
        await StopAsync();
        // As if the daemon had been killed in between.
        _kept.State = new LinkState(4, [], [], default).ToBytes().ToArray();
        Run();
        await control.SayAsync(message[20..]);
        await control.EndAsync();
        control = await GreetAsync();
        await control.SayAsync(message);
        await control.HearAsync("03020000 20000000" + Ident);
    }

    [Test]
    public async Task An_agent_that_ended_is_forgotten_and_the_next_one_is_dialled()
    {
        var control = await GreetAsync();
        control.Close();
        await _kept.ForgottenAsync();
        control = await GreetAsync();
        await control.SayAsync(Trigger("SOCKET13", "refused"));
        await control.HearAsync("03020000 20000000" + Ident);
    }

    [Test]
    public async Task What_was_written_down_in_another_shape_is_not_gone_on_with()
    {
        await GreetAsync();
        await StopAsync();
        _kept.State = [9, 9];
        Run();
        var control = await GreetAsync();
        await control.SayAsync(Trigger("SOCKET13", "refused"));
        await control.HearAsync("03020000 20000000" + Ident);
    }

    [Test]
    public void A_state_is_read_as_it_was_written_and_nothing_else_is()
    {
        var state = new LinkState(3, [513, 768], [CallIdent.TryParse(Convert.FromHexString(Ident))!.Value], Encoding.ASCII.GetBytes("abc"));
        var bytes = state.ToBytes().ToArray();
        var read = LinkState.TryRead(bytes)!;
        Assert.That((read.Version, read.Ports, read.Unanswered, read.Unfinished.ToArray()), Is.EqualTo((3, new List<uint> { 513, 768 }, state.Unanswered, "abc"u8.ToArray())));
        foreach (var cut in Enumerable.Range(0, bytes.Length))
        {
            Assert.That(LinkState.TryRead(bytes.AsSpan(0, cut)), Is.Null, $"cut at {cut}");
        }
        Assert.That(LinkState.TryRead((byte[])[.. bytes, 0]), Is.Null);
        bytes[8] = 0xFF;
        Assert.That(LinkState.TryRead(bytes), Is.Null);
        Assert.That(LinkState.TryRead(new LinkState(4, [512], [], default).ToBytes()), Is.Null);
        Assert.That(LinkState.TryRead(new LinkState(5, [], [], default).ToBytes()), Is.Null);
    }

    private static byte[] Trigger(string ident, string service) => Messages.Of(MessageType.TriggerService4, Messages.Trigger4("", "dom0", ident, service));

    private async Task<VchanGuest.Stream> GreetAsync()
    {
        var control = await _guest.Listen(Domain, 512).AcceptAsync();
        await control.SayAsync(Messages.Hello(4));
        await control.HearAsync("00030000 04000000 04000000");
        await _kept.UntilAsync(_ => true);
        return control;
    }

    private async Task AgainAsync()
    {
        await StopAsync();
        Run();
    }

    private void Run()
    {
        _stop = new CancellationTokenSource();
        var limits = new AgentLimits { Dial = TimeSpan.FromSeconds(2), Pause = TimeSpan.FromMilliseconds(20) };
        _running = new AgentLink(Domain, "guest 7", _directory, new Handler(), limits, TimeProvider.System, NullLogger.Instance, _kept).RunAsync(_stop.Token);
    }

    private async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _running.WaitAsync(Deadline);
        _stop.Dispose();
    }

    /// <summary>Refuses <c>refused</c>, never answers <c>pending</c>, accepts the rest.</summary>
    private sealed class Handler : IGuestCallHandler
    {
        public GuestPace Pace { get; } = new(TimeProvider.System);

        public async Task ServeAsync(GuestCall call, CancellationToken cancellation)
        {
            try
            {
                if (call.Request.Service.StartsWith("refused", StringComparison.Ordinal))
                {
                    await call.RefuseAsync(cancellation);
                }
                else if (call.Request.Service.StartsWith("pending", StringComparison.Ordinal))
                {
                    await Task.Delay(Timeout.InfiniteTimeSpan, cancellation);
                }
                else
                {
                    await call.AcceptAsync(cancellation);
                }
            }
            catch (OperationCanceledException)
            {
                // The daemon stops, or the caller does not listen.
            }
        }
    }

    /// <summary>What the service manager does, in memory.</summary>
    private sealed class Kept : IKeptControl
    {
        private readonly Lock _gate = new();
        private Socket? _control;
        private byte[]? _state;
        private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

        internal byte[]? State
        {
            get
            {
                lock (_gate)
                {
                    return _state;
                }
            }

            set
            {
                lock (_gate)
                {
                    _state = value;
                    _changed.TrySetResult();
                    _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
                }
            }
        }

        public (Stream Control, ReadOnlyMemory<byte> State)? Take() => _control is null ? null : (new NetworkStream(_control, ownsSocket: false), State);

        public Stream Keep(Stream control)
        {
            _control = ((NetworkStream)control).Socket;
            return new NetworkStream(_control, ownsSocket: false);
        }

        public void Write(ReadOnlySpan<byte> state) => State = state.ToArray();

        public void Forget()
        {
            _control?.Dispose();
            _control = null;
            State = null;
        }

        internal Task UntilAsync(Func<LinkState, bool> condition) => ChangedAsync(state => state is not null && LinkState.TryRead(state) is { } read && condition(read));

        internal Task ForgottenAsync() => ChangedAsync(state => state is null);

        private async Task ChangedAsync(Func<byte[]?, bool> condition)
        {
            using var limit = new CancellationTokenSource(Deadline);
            while (true)
            {
                Task changed;
                lock (_gate)
                {
                    changed = _changed.Task;
                    if (condition(_state))
                    {
                        return;
                    }
                }
                await changed.WaitAsync(limit.Token);
            }
        }
    }
}
