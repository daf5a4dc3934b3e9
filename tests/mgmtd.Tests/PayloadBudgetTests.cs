using System.IO.Pipelines;
using Mgmt.Core;
using Mgmt.Qrexec;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>What payloads of guests may cost, in bytes and in time.</summary>
public sealed class PayloadBudgetTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);
    private PayloadBudget _budget = null!;

    [SetUp]
    public void Make() => _budget = new(VmName.Parse("work"), 1000);

    [Test]
    public void Calls_hold_so_many_bytes_together_and_give_back_what_they_took()
    {
        using (var first = _budget.Open())
        using (var second = _budget.Open())
        {
            first.Take(600);
            second.Take(400);
            Assert.That(_budget.HeldBytes, Is.EqualTo(1000));
            var busy = Assert.Throws<MgmtException>(() => second.Take(1))!;
            Assert.That((busy.Code, busy.Message), Is.EqualTo((ErrorCode.MgmtBusyError, "The payloads of all calls of work that are in flight may have 1000 bytes together; try again when another one has ended")));
            first.Dispose();
            // What was refused is given back with the rest.
            Assert.That(_budget.HeldBytes, Is.EqualTo(401));
        }
        Assert.That(_budget.HeldBytes, Is.Zero);
    }

    [Test]
    public async Task A_payload_is_read_to_its_end_and_counted()
    {
        var call = new Caller();
        using var payload = new GuestPayload(call, Deadline, new ManualTime());
        using var held = _budget.Open();
        await call.SayAsync(300);
        await call.SayAsync(200);
        await call.Writer.CompleteAsync();
        Assert.That((await payload.ReadAllAsync(500, Deadline, held, CancellationToken.None)).Length, Is.EqualTo(500));
        Assert.That(_budget.HeldBytes, Is.EqualTo(500));
    }

    [TestCase(500, 600, ErrorCode.ProtocolError)]
    [TestCase(5000, 2000, ErrorCode.MgmtBusyError)]
    public async Task A_payload_is_read_as_far_as_its_cap_and_the_budget_go(int cap, int bytes, ErrorCode code)
    {
        var call = new Caller();
        using var payload = new GuestPayload(call, Deadline, new ManualTime());
        using var held = _budget.Open();
        await call.SayAsync(bytes);
        var refusal = (await Assert.ThrowsAsync<MgmtException>(async () => await payload.ReadAllAsync(cap, Deadline, held, CancellationToken.None)))!;
        Assert.That(refusal.Code, Is.EqualTo(code));
    }

    [Test]
    public async Task A_payload_that_trickles_has_to_end_in_time_like_any_other()
    {
        var (call, time) = (new Caller(), new ManualTime());
        using var payload = new GuestPayload(call, TimeSpan.FromSeconds(10), time);
        using var held = _budget.Open();
        var reading = payload.ReadAllAsync(900, TimeSpan.FromSeconds(10), held, CancellationToken.None);
        // Never silent for long.
        for (var i = 0; i < 100 && !reading.IsCompleted; i++)
        {
            await call.SayAsync(1);
            time.Advance(1000);
            await Task.WhenAny(reading, Task.Delay(1));
        }
        var late = (await Assert.ThrowsAsync<MgmtException>(async () => await reading.WaitAsync(Deadline)))!;
        Assert.That((late.Code, late.Message), Is.EqualTo((ErrorCode.MgmtTimeoutError, "The request did not end within 10 s; end your input after the payload")));
    }

    /// <summary>Whatever it is called with, only its input matters.</summary>
    private sealed class Caller : GuestCall
    {
        private readonly Pipe _pipe = new();

        public PipeWriter Writer => _pipe.Writer;

        public override TriggerService Request => throw new NotSupportedException();

        public override string Transport => "test";

        public override PipeReader Input => _pipe.Reader;

        public override CancellationToken Gone => CancellationToken.None;

        public async Task SayAsync(int bytes) => await _pipe.Writer.WriteAsync(new byte[bytes]);

        public override ValueTask RefuseAsync(CancellationToken cancellation) => throw new NotSupportedException();

        public override ValueTask AcceptAsync(CancellationToken cancellation) => throw new NotSupportedException();

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> output, CancellationToken cancellation) => throw new NotSupportedException();

        public override ValueTask WriteErrorAsync(ReadOnlyMemory<byte> output, CancellationToken cancellation) => throw new NotSupportedException();

        public override ValueTask EndAsync(ReadOnlyMemory<byte> output, int exitCode, CancellationToken cancellation) => throw new NotSupportedException();
    }
}
