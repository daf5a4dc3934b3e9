using Mgmt.Core;

namespace Mgmt.Machined.Tests;

/// <summary>Signals that no machined sends. They tell of nothing, and those after them still do.</summary>
[CancelAfter(60_000)]
public sealed class HostileSignalTests
{
    [TestCase("MachineNew")]
    [TestCase("MachineRemoved")]
    public async Task A_proper_signal_is_told_once(string member, CancellationToken token)
    {
        await using var peer = new Peer { Signals = [Proper("MachineNew", "web"), Proper("MachineNew", "web"), Proper(member, "web"), Proper("MachineNew", "last")] };
        string[] expected = member == "MachineNew" ? ["+web", "+last"] : ["+web", "-web", "+last"];
        Assert.That(await peer.ChangesAsync(token), Is.EqualTo(expected));
    }

    [TestCase("MachineNew")]
    [TestCase("MachineRemoved")]
    public async Task A_signal_of_another_shape_tells_of_nothing(string member, CancellationToken token)
    {
        byte[][] odd =
        [
            .. new[] { "", "u", "o", "as", "v", "ay", "h" }.Select(signature => ScriptedBus.Signal(member, signature, signature.Length == 0 ? [] : new byte[16])),
            ScriptedBus.Signal(member, "so", [3, 0, 0, 0, 0xFF, 0xFE, 0xFF, 0]),
            ScriptedBus.Signal(member, "so", [0xFF, 0xFF, 0, 0, (byte)'a', 0]),
            .. new[] { "", "../x", "a b", ".host", "-", "\u001b[1m", new string('a', 65), new string('a', 50_000), "ü" }.Select(name => Proper(member, name)),
        ];
        await using var peer = new Peer { Signals = [Proper("MachineNew", "first"), .. odd, Proper("MachineNew", "last")] };
        Assert.That(await peer.ChangesAsync(token), Is.EqualTo(new[] { "+first", "+last" }));
    }

    [Test]
    public async Task A_connection_that_ends_at_any_byte_of_a_signal_tells_of_nothing([Values("MachineNew", "MachineRemoved")] string member, CancellationToken token)
    {
        var signal = Proper(member, "web");
        for (var cut = 0; cut < signal.Length; cut++)
        {
            await using var peer = new Peer { Signals = [signal[..cut]], Ends = true };
            Assert.That(await peer.ChangesAsync(token), Is.Empty, $"cut at {cut}");
        }
    }

    [Test]
    public async Task More_machines_than_a_host_has_are_not_all_remembered(CancellationToken token)
    {
        await using var peer = new Peer { Signals = [[.. Enumerable.Range(0, 9000).SelectMany(n => Proper("MachineNew", $"m{n}"))], Proper("MachineNew", "last"), Proper("MachineRemoved", "m1"), Proper("MachineNew", "last")] };
        Assert.That((await peer.ChangesAsync(token))[^2..], Is.EqualTo(new[] { "-m1", "+last" }), "the 8193rd is told of when another is gone");
    }

    private static byte[] Proper(string member, string name) => ScriptedBus.Signal(member, "so", new BusBody().Text(name).Text("/m").Bytes);

    /// <summary>A bus whose machined answers the first list with nothing and then sends signals; with Ends the connection is over after them, once.</summary>
    private sealed class Peer : IAsyncDisposable
    {
        private readonly ScriptedBus _bus = new();
        private RegistryUnderTest? _registry;
        private bool _sent;

        public required byte[][] Signals { get; init; }

        public bool Ends { get; init; }

        /// <summary>What was told: of all signals, up to a machine named last or the end of the connection.</summary>
        public async Task<string[]> ChangesAsync(CancellationToken token)
        {
            _bus.Script = Answer;
            _registry = new RegistryUnderTest(_bus.Address);
            _registry.Registry.Start();
            var changes = new List<string>();
            if (Ends)
            {
                await _registry.UntilLoggedAsync("No bus at");
                while (_registry.Registry.Changes.TryRead(out var told))
                {
                    changes.Add(told.Name);
                }
                return [.. changes];
            }
            while (changes.LastOrDefault() != "+last")
            {
                var change = await _registry.Registry.Changes.ReadAsync(token);
                changes.Add((change.Added ? "+" : "-") + change.Name);
            }
            return [.. changes];
        }

        public async ValueTask DisposeAsync()
        {
            if (_registry is not null)
            {
                await _registry.DisposeAsync();
            }
            await _bus.DisposeAsync();
        }

        private ScriptedReply? Answer(string member, uint serial)
        {
            if (member != "ListMachines" || _sent)
            {
                return null;
            }
            _sent = true;
            byte[] bytes = [.. ScriptedBus.Return(serial, "a(ssso)", ScriptedBus.Machines()), .. Signals.SelectMany(signal => signal)];
            // One byte more that never comes: the bus closes after what is there.
            return Ends ? new ScriptedReply([.. bytes, 0]) { CutAt = bytes.Length } : new ScriptedReply(bytes);
        }
    }
}
