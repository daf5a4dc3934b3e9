using Mgmt.Core;

namespace Mgmt.Machined.Tests;

/// <summary>A machined that answers what no machined does. Each wrong answer is one error, and the next connection works.</summary>
[CancelAfter(60_000)]
public sealed class HostilePeerTests
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(400);

    [Test]
    public async Task A_proper_answer_is_read(CancellationToken token)
    {
        await using var bus = new ScriptedBus(serial => ScriptedBus.Return(serial, "a(ssso)", ScriptedBus.Machines("web", "box")));
        Assert.That(await OutcomeAsync(bus, token), Is.EqualTo("box web"));
    }

    [TestCase("s")]
    [TestCase("a(sss)")]
    [TestCase("a(ssbo)")]
    [TestCase("as")]
    [TestCase("v")]
    [TestCase("")]
    public async Task A_wrong_signature_is_no_answer(string signature, CancellationToken token)
    {
        await using var bus = new ScriptedBus(serial => ScriptedBus.Return(serial, signature, signature == "s" ? ScriptedBus.Text("web") : signature.Length == 0 ? [] : new byte[8]));
        Assert.That(await OutcomeAsync(bus, token), Is.AnyOf(nameof(ErrorCode.MgmtUnavailableError), nameof(ErrorCode.MgmtTimeoutError)));
    }

    [Test]
    public async Task A_list_without_end_is_refused(CancellationToken token)
    {
        var names = Enumerable.Range(0, 10_000).Select(n => $"m{n}").ToArray();
        await using var bus = new ScriptedBus(serial => ScriptedBus.Return(serial, "a(ssso)", ScriptedBus.Machines(names)));
        Assert.That(await OutcomeAsync(bus, token), Is.EqualTo(nameof(ErrorCode.MgmtUnavailableError)));
    }

    [Test]
    public async Task A_text_that_is_too_long_and_names_that_are_none_do_no_harm(CancellationToken token)
    {
        await using var tooLong = new ScriptedBus(serial => ScriptedBus.Return(serial, "a(ssso)", ScriptedBus.Machines(new string('a', 100_000))));
        Assert.That(await OutcomeAsync(tooLong, token), Is.EqualTo(nameof(ErrorCode.MgmtUnavailableError)));
        await using var odd = new ScriptedBus(serial => ScriptedBus.Return(serial, "a(ssso)", ScriptedBus.Machines("../x", "a b", ".host", "-", "ok", "ok", "\u001b[1m")));
        Assert.That(await OutcomeAsync(odd, token), Is.EqualTo("ok"));
    }

    [Test]
    public async Task An_array_that_says_it_is_longer_than_the_message_and_a_message_that_says_it_is_huge_are_no_answer(CancellationToken token)
    {
        await using var array = new ScriptedBus(serial => ScriptedBus.Return(serial, "a(ssso)", [0xFF, 0xFF, 0xFF, 0x03, 0, 0, 0, 0]));
        Assert.That(await OutcomeAsync(array, token), Is.AnyOf(nameof(ErrorCode.MgmtUnavailableError), nameof(ErrorCode.MgmtTimeoutError)));
        await using var message = new ScriptedBus(serial => ScriptedBus.Message(2, serial, "a(ssso)", new byte[8], 0x7FFF_FFFF));
        Assert.That(await OutcomeAsync(message, token), Is.AnyOf(nameof(ErrorCode.MgmtUnavailableError), nameof(ErrorCode.MgmtTimeoutError)));
    }

    [Test]
    public async Task One_that_never_answers_is_waited_for_no_longer_than_the_deadline(CancellationToken token)
    {
        await using var bus = new ScriptedBus(_ => []);
        Assert.That(await OutcomeAsync(bus, token), Is.EqualTo(nameof(ErrorCode.MgmtTimeoutError)));
    }

    [Test]
    public async Task A_reply_to_nothing_answers_no_call(CancellationToken token)
    {
        await using var bus = new ScriptedBus(serial => [.. ScriptedBus.Return(serial + 77, "a(ssso)", ScriptedBus.Machines("evil")), .. ScriptedBus.Return(serial, "a(ssso)", ScriptedBus.Machines("web"))]);
        Assert.That(await OutcomeAsync(bus, token), Is.EqualTo("web"));
    }

    /// <summary>The machines, or the code of the error.</summary>
    private static async Task<string> OutcomeAsync(ScriptedBus bus, CancellationToken token)
    {
        var log = new RegistryUnderTest(bus.Address, enabled: false);
        await using var registry = new MachinedRegistry(new MachinedOptions { BusAddress = bus.Address, MachineDeadline = Short, PlaceDeadline = Short }, TimeProvider.System, log);
        try
        {
            return string.Join(' ', (await registry.Machines.ListAsync(token)).Select(machine => machine.Name.Value));
        }
        catch (MgmtException error)
        {
            return error.Code.ToString();
        }
        finally
        {
            await log.DisposeAsync();
        }
    }
}
