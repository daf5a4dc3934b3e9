using System.Text;
using System.Threading.Channels;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mgmt.Qrexec.Tests;

/// <summary>The host's side of qrexec over vchan sockets. The bytes are those that an unmodified agent and client of Qubes OS 4.3 exchange.</summary>
public sealed class AgentLinkTests
{
    private const uint Domain = 7;
    private const string Hello4 = "00030000 04000000 04000000";
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);
    private static readonly string Ident = Convert.ToHexString("SOCKET13"u8) + new string('0', 48);

    private VchanGuest _guest = null!;
    private VchanDirectory _directory = null!;
    private Handler _handler = null!;
    private CancellationTokenSource _stop = null!;
    private Task _running = null!;

    [SetUp]
    public void Start()
    {
        _guest = new VchanGuest();
        _directory = new VchanDirectory(_guest.Path, TimeProvider.System);
        _handler = new Handler();
        _stop = new CancellationTokenSource();
        var limits = new AgentLimits { Hello = TimeSpan.FromMilliseconds(500), Dial = TimeSpan.FromSeconds(2), Pause = TimeSpan.FromMilliseconds(20), Drain = TimeSpan.FromSeconds(1) };
        _running = new AgentLink(Domain, "guest 7", _directory, _handler, limits, TimeProvider.System, NullLogger.Instance).RunAsync(_stop.Token);
    }

    [TearDown]
    public async Task Stop()
    {
        await _stop.CancelAsync();
        await _running.WaitAsync(Deadline);
        _directory.Dispose();
        _guest.Dispose();
        _stop.Dispose();
    }

    [Test]
    public async Task A_call_goes_as_it_goes_in_qubes()
    {
        var control = await GreetAsync(4);
        await control.SayAsync(Trigger("mgmt.vm.List+a1"));
        var data = _guest.Listen(Domain, 513);
        await control.HearAsync("02020000 28000000 00000000 01020000" + Ident);
        var stream = await data.AcceptAsync();
        await stream.SayAsync(Messages.Hello(4));
        await stream.HearAsync(Hello4);
        await stream.HearAsync("92010000 00000000");
        await stream.SayAsync(Messages.Of(MessageType.DataStdin, "hi\n"u8.ToArray()), Messages.Of(MessageType.DataStdin));
        await stream.HearAsync("91010000 07000000" + Convert.ToHexString("got hi\n"u8) + "91010000 00000000" + "93010000 04000000 05000000");
        await stream.EndAsync();
        stream.Close();
        await control.SayAsync(Messages.Terminated(0, 513));
        Assert.That((await _handler.NextAsync()).Request.Service, Is.EqualTo("mgmt.vm.List+a1"));
    }

    [Test]
    public async Task A_refusal_names_the_call_and_the_next_one_is_served()
    {
        var control = await GreetAsync(4);
        await control.SayAsync(Trigger("refused"));
        await control.HearAsync("03020000 20000000" + Ident);
        await control.SayAsync(Trigger("+no-name"));
        await control.HearAsync("03020000 20000000" + Ident);
        await control.SayAsync(Trigger("x"));
        await control.HearAsync("02020000 28000000 00000000 01020000" + Ident);
    }

    [TestCase(2u, MessageType.TriggerService)]
    [TestCase(3u, MessageType.TriggerService3)]
    public async Task Older_agents_are_served_too(uint version, MessageType trigger)
    {
        var control = await GreetAsync(version);
        await control.SayAsync(Messages.Of(trigger, trigger == MessageType.TriggerService ? Messages.Trigger2("dom0", "SOCKET13", "x") : Messages.Trigger3("dom0", "SOCKET13", "x")));
        var data = _guest.Listen(Domain, 513);
        await control.HearAsync("02020000 28000000 00000000 01020000" + Ident);
        var stream = await data.AcceptAsync();
        await stream.SayAsync(Messages.Hello(version), Messages.Of(MessageType.DataStdin, new byte[version == 2 ? 4096 : 5000]), Messages.Of(MessageType.DataStdin));
        await stream.HearAsync(Hello4);
    }

    [Test]
    public async Task A_port_is_used_again_only_when_the_agent_says_that_it_is_free()
    {
        var control = await GreetAsync(4);
        await control.SayAsync(Trigger("x"));
        await control.HearAsync("02020000 28000000 00000000 01020000" + Ident);
        await control.SayAsync(Trigger("x"));
        await control.HearAsync("02020000 28000000 00000000 02020000" + Ident);
        await control.SayAsync(Messages.Terminated(0, 513), Messages.Terminated(9, 514), Trigger("x"));
        await control.HearAsync("02020000 28000000 00000000 01020000" + Ident);
    }

    [Test]
    public async Task A_file_of_yesterday_is_waited_out()
    {
        var control = await GreetAsync(4);
        await File.WriteAllTextAsync(Path.Combine(_guest.Path, "vchan.7.0.513.sock"), "");
        await control.SayAsync(Trigger("x"));
        await control.HearAsync("02020000 28000000 00000000 01020000" + Ident);
        var stream = await _guest.Listen(Domain, 513).AcceptAsync();
        await stream.SayAsync(Messages.Hello(4));
        await stream.HearAsync(Hello4);
    }

    [Test]
    public async Task An_agent_that_ends_is_dialled_again()
    {
        var control = await GreetAsync(4);
        control.Close();
        control = await GreetAsync(4);
        await control.SayAsync(Trigger("refused"));
        await control.HearAsync("03020000 20000000" + Ident);
    }

    [Test]
    public async Task A_breach_ends_the_channel_and_nothing_else([Values("version 1", "no hello", "data", "terminated 12", "hello twice")] string breach)
    {
        var server = _guest.Listen(Domain, 512);
        var control = await server.AcceptAsync();
        byte[] bad = breach switch
        {
            "version 1" => Messages.Hello(1),
            "no hello" => Trigger("x"),
            "data" => [.. Messages.Hello(4), .. Messages.Of(MessageType.DataStdin, 1)],
            "terminated 12" => [.. Messages.Hello(4), .. Messages.Terminated(0, 12)],
            _ => [.. Messages.Hello(4), .. Messages.Hello(4)],
        };
        await control.SayAsync(bad);
        control = await GreetAsync(4);
        await control.SayAsync(Trigger("refused"));
        await control.HearAsync("03020000 20000000" + Ident);
    }

    [Test]
    public async Task An_agent_that_says_nothing_is_given_up()
    {
        var server = _guest.Listen(Domain, 512);
        await (await server.AcceptAsync()).EndAsync();
        await GreetAsync(4);
    }

    [Test]
    public async Task A_caller_that_closes_its_channel_is_gone()
    {
        var control = await GreetAsync(4);
        await control.SayAsync(Trigger("waits"));
        var stream = await _guest.Listen(Domain, 513).AcceptAsync();
        await stream.SayAsync(Messages.Hello(4));
        await stream.HearAsync(Hello4);
        stream.Close();
        var call = await _handler.NextAsync();
        var gone = new TaskCompletionSource();
        await using var registered = call.Gone.Register(() => gone.TrySetResult());
        await gone.Task.WaitAsync(Deadline);
    }

    private async Task<VchanGuest.Stream> GreetAsync(uint version)
    {
        var control = await _guest.Listen(Domain, 512).AcceptAsync();
        await control.SayAsync(Messages.Hello(version));
        await control.HearAsync(Hello4);
        return control;
    }

    private static byte[] Trigger(string service) => Messages.Of(MessageType.TriggerService4, Messages.Trigger4("", "dom0", "SOCKET13", service));

    /// <summary>Refuses <c>refused</c> and what is not well-formed; answers others as the reference's service does, or waits for the end of their caller.</summary>
    private sealed class Handler : IGuestCallHandler
    {
        public GuestPace Pace { get; } = new(TimeProvider.System);

        private readonly Channel<GuestCall> _calls = Channel.CreateUnbounded<GuestCall>();

        public async Task<GuestCall> NextAsync()
        {
            using var limit = new CancellationTokenSource(Deadline);
            return await _calls.Reader.ReadAsync(limit.Token);
        }

        public async Task ServeAsync(GuestCall call, CancellationToken cancellation)
        {
            _calls.Writer.TryWrite(call);
            try
            {
                if (call.Request.Service == "refused" || !call.Request.IsWellFormed)
                {
                    await call.RefuseAsync(cancellation);
                    return;
                }
                await call.AcceptAsync(cancellation);
                using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, call.Gone);
                var read = await call.Input.ReadAtLeastAsync(3, either.Token);
                var text = "got " + Encoding.ASCII.GetString(read.Buffer.FirstSpan);
                call.Input.AdvanceTo(read.Buffer.End);
                await call.EndAsync(Encoding.ASCII.GetBytes(text), 5, cancellation);
            }
            catch (OperationCanceledException)
            {
                // The caller is gone, or never came.
            }
        }
    }
}
