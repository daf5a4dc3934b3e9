using Microsoft.Win32.SafeHandles;

namespace Mgmt.Machined.Tests;

/// <summary>Every method whose answer is read, asked of a machined that answers what no machined does. Each wrong answer is one error, and the next connection works.</summary>
[CancelAfter(60_000)]
[Parallelizable(ParallelScope.Children)]
public sealed class HostileMethodTests
{
    private static readonly string[] s_refusals = ["MgmtUnavailableError", "MgmtTimeoutError", "StoragePoolException"];

    private static readonly string[] s_signatures =
        ["", "s", "o", "g", "u", "i", "t", "b", "h", "v", "ay", "as", "ai", "a{ss}", "a{sv}", "a{sa{sv}}", "a(ssso)", "a(sss)", "a(st)", "a(ss)", "a(iay)", "a(isy)", "(ssso)", "so", "su", "hh", "hu", "aaaay"];

    private static readonly string[] s_errors =
        ["a.b", "org.freedesktop.DBus.Error.NoReply", "System.Error.ENOENT", "System.Error.E", "org.freedesktop.systemd1.NoSuchUnit", "no", "", "a..b", "a b.c", $"a.{new string('x', 5000)}", "\u001b[1m.x"];

    private SafeFileHandle _terminal;

    private static IEnumerable<HostileMethod> Methods => HostileMethod.All;

    // The registry itself asks these two, so the first one is not known to be the test's.
    private static IEnumerable<HostileMethod> AskedByCallersOnly => HostileMethod.All.Where(method => method.Member is not ("ListMachines" or "ListActivatableNames"));

    private static IEnumerable<HostileMethod> Bounded => HostileMethod.All.Where(method => method.TooMuch is not null);

    [OneTimeSetUp]
    public void OpenTerminal() => _terminal = File.OpenHandle("/dev/ptmx", FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);

    [OneTimeTearDown]
    public void CloseTerminal() => _terminal.Dispose();

    [TestCaseSource(nameof(Methods))]
    public async Task A_proper_answer_is_read(object method, CancellationToken token)
    {
        await using var peer = PeerOf(method);
        await peer.RecoversAsync(token);
    }

    [TestCaseSource(nameof(Methods))]
    public async Task A_connection_that_ends_at_any_byte_of_the_answer_is_one_error(object method, CancellationToken token)
    {
        await using var peer = PeerOf(method);
        var whole = peer.Proper(1).Bytes.Length;
        for (var cut = 0; cut < whole; cut++)
        {
            peer.Reply = serial => peer.Proper(serial) with { CutAt = cut };
            Assert.That(await peer.AskAnewAsync(token), Is.AnyOf(s_refusals), $"cut at {cut} of {whole}");
        }
        await peer.RecoversAsync(token);
    }

    [TestCaseSource(nameof(Methods))]
    public async Task A_wrong_signature_is_no_answer(object method, CancellationToken token)
    {
        await using var peer = PeerOf(method);
        // What a later machined might add after what is asked for is passed over.
        foreach (var signature in s_signatures.Where(other => !other.StartsWith(((HostileMethod)method).Signature, StringComparison.Ordinal)))
        {
            peer.Reply = serial => peer.With(serial, signature, signature.Length == 0 ? [] : new byte[64]);
            Assert.That(await peer.AskAnewAsync(token), Is.AnyOf(s_refusals), signature);
        }
        await peer.RecoversAsync(token);
    }

    [TestCaseSource(nameof(Bounded))]
    public async Task An_answer_that_is_far_too_long_is_refused(object method, CancellationToken token)
    {
        await using var peer = PeerOf(method);
        peer.Reply = serial => peer.With(serial, ((HostileMethod)method).Signature, ((HostileMethod)method).TooMuch!().Bytes);
        Assert.That(await peer.AskAsync(token), Is.AnyOf(s_refusals));
        await peer.RecoversAsync(token);
    }

    /// <summary>Lengths beyond the message, lengths one too long, bytes that are no UTF-8, wherever they are.</summary>
    [TestCaseSource(nameof(Methods))]
    public async Task A_body_that_is_damaged_anywhere_is_a_value_or_one_error(object method, CancellationToken token)
    {
        await using var peer = PeerOf(method);
        var body = ((HostileMethod)method).Body().Bytes;
        foreach (var damaged in Damaged(body))
        {
            peer.Reply = serial => peer.With(serial, ((HostileMethod)method).Signature, damaged);
            await peer.AskAsync(token);
        }
        await peer.RecoversAsync(token);
    }

    [TestCaseSource(nameof(Methods))]
    public async Task A_length_that_the_message_does_not_have_is_one_error(object method, CancellationToken token)
    {
        await using var peer = PeerOf(method);
        var (signature, body) = (((HostileMethod)method).Signature, ((HostileMethod)method).Body().Bytes);
        foreach (var length in new uint[] { 0x7FFF_FFFF, uint.MaxValue, 0x0800_0001 })
        {
            peer.Reply = serial => new ScriptedReply(ScriptedBus.Message(2, serial, signature, body, length));
            Assert.That(await peer.AskAnewAsync(token), Is.AnyOf(s_refusals), $"{length}");
        }
        await peer.RecoversAsync(token);
    }

    /// <summary>At once, as those that sd-bus takes for no message are waited for.</summary>
    [TestCaseSource(nameof(Methods))]
    public Task An_error_of_any_name_is_one_error(object method, CancellationToken token) => Task.WhenAll(s_errors.Select(async name =>
    {
        await using var peer = PeerOf(method);
        foreach (var text in new[] { new string('x', 6000), "", "no\u001b[1m\n" })
        {
            peer.Reply = serial => new ScriptedReply(ScriptedBus.Error(serial, name, text));
            var outcome = await peer.AskAsync(token);
            Assert.That(outcome, Is.Not.EqualTo(((HostileMethod)method).Read).And.Match("^[A-Z][A-Za-z]+(Error|Exception)$"), name);
            if (outcome == "MgmtTimeoutError")
            {
                break;
            }
        }
        await peer.RecoversAsync(token);
    }));

    [TestCaseSource(nameof(AskedByCallersOnly))]
    public async Task An_answer_after_the_deadline_does_not_answer_the_next_call(object method, CancellationToken token)
    {
        await using var peer = PeerOf(method);
        uint? unanswered = null;
        peer.Reply = serial =>
        {
            unanswered ??= serial;
            return unanswered == serial ? new ScriptedReply([]) : peer.Proper(serial) with { Before = ScriptedBus.Return(unanswered.Value, "s", ScriptedBus.Text("late")) };
        };
        Assert.That(await peer.AskAsync(token), Is.EqualTo("MgmtTimeoutError"));
        Assert.That(await peer.AskAsync(token), Is.EqualTo(((HostileMethod)method).Read));
    }

    private static IEnumerable<byte[]> Damaged(byte[] body)
    {
        for (var at = 0; at < body.Length; at++)
        {
            yield return [.. body[..at], 0xFF, .. body[(at + 1)..]];
            if (at % 4 == 0)
            {
                foreach (var length in new uint[] { 0xFFFF_FFFF, 0x03FF_FFFF, BitConverter.ToUInt32([.. body[at..], 0, 0, 0]) + 1 })
                {
                    byte[] longer = [.. body[..at], .. BitConverter.GetBytes(length), .. body[Math.Min(at + 4, body.Length)..]];
                    yield return longer[..body.Length];
                }
            }
        }
    }

    private HostilePeer PeerOf(object method) => new((HostileMethod)method) { File = _terminal };
}
