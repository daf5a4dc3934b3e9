using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Machined.Tests;

/// <summary>Answers with open files that are too few, too many, of another kind or too late: one error, and no file stays open.</summary>
[CancelAfter(60_000)]
public sealed class HostileFileTests
{
    private string _directory;
    private SafeFileHandle _terminal;
    private SafeFileHandle _file;

    private static IEnumerable<HostileMethod> Methods => HostileMethod.OfOpenFiles;

    private static IEnumerable<HostileMethod> Terminals => HostileMethod.OfOpenFiles.Where(method => method.Signature == "hs");

    [SetUp]
    public void Open()
    {
        _directory = Directory.CreateTempSubdirectory("mgmt-hostile-").FullName;
        File.WriteAllText(Path.Combine(_directory, "file"), "as it was");
        _file = File.OpenHandle(Path.Combine(_directory, "file"), FileMode.Open, FileAccess.ReadWrite);
        _terminal = File.OpenHandle("/dev/ptmx", FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
    }

    [TearDown]
    public void Close()
    {
        _file.Dispose();
        _terminal.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    /// <summary>Such a message is none to sd-bus, which drops it and forgets its files (systemd 252); a real bus passes none on.</summary>
    [TestCaseSource(nameof(Methods))]
    public async Task Files_that_are_not_as_many_as_said_are_one_error(object method, CancellationToken token)
    {
        foreach (var (said, sent) in new (uint Said, int Sent)[] { (1, 0), (2, 1), (0, 1), (1, 3) })
        {
            await AskAsync((HostileMethod)method, said, sent, ((HostileMethod)method).Body().Bytes, token);
        }
    }

    [TestCaseSource(nameof(Methods))]
    public async Task A_file_that_is_not_among_those_sent_is_one_error_and_those_are_closed(object method, CancellationToken token)
    {
        byte[] beyond = [9, .. ((HostileMethod)method).Body().Bytes[1..]];
        foreach (var count in new[] { 0, 1, 3 })
        {
            await AskAsync((HostileMethod)method, (uint)count, count, beyond, token);
        }
        Assert.That(OpenAs("file"), Is.EqualTo(1), "our own");
    }

    [TestCaseSource(nameof(Terminals))]
    public async Task What_is_no_terminal_is_neither_read_nor_written_and_is_closed(object method, CancellationToken token)
    {
        using var directory = PassedFiles.OpenDirectory(_directory);
        using var random = File.OpenHandle("/dev/urandom");
        await using var peer = new HostilePeer((HostileMethod)method) { File = _terminal };
        foreach (var other in new[] { _file, directory, random })
        {
            peer.Reply = serial => peer.Proper(serial) with { Files = [other] };
            Assert.That(await peer.AskAsync(token), Is.EqualTo("MgmtUnavailableError"));
        }
        await peer.RecoversAsync(token);
        Assert.That(OpenAs("file"), Is.EqualTo(1));
        Assert.That(OpenAs(""), Is.EqualTo(1));
        Assert.That(await File.ReadAllTextAsync(Path.Combine(_directory, "file"), token), Is.EqualTo("as it was"));
    }

    [TestCaseSource(nameof(Terminals))]
    public async Task A_file_before_a_path_that_cannot_be_read_is_closed(object method, CancellationToken token)
    {
        var before = OpenTerminals();
        await using (var peer = new HostilePeer((HostileMethod)method) { File = _terminal })
        {
            foreach (var path in new[] { new BusBody().UInt32(0).Text(new string('a', 5000)), new BusBody().UInt32(0).UInt32(3).Raw(0xFF, 0xFF, 0xFF, 0) })
            {
                peer.Reply = serial => peer.With(serial, "hs", path.Bytes);
                Assert.That(await peer.AskAsync(token), Is.EqualTo("MgmtUnavailableError"));
            }
        }
        Assert.That(OpenTerminals(), Is.EqualTo(before));
    }

    [Test]
    public async Task A_file_that_comes_after_the_deadline_is_closed(CancellationToken token)
    {
        var method = HostileMethod.OfOpenFiles.Last();
        await using var bus = new ScriptedBus();
        uint? late = null;
        bus.Script = (member, serial) =>
        {
            if (member == "OpenMachineRootDirectory")
            {
                late ??= serial;
                return new ScriptedReply([]);
            }
            return member == "GetMachine" ? new ScriptedReply([.. ScriptedBus.Return(late!.Value, "h", new byte[4], 1), .. ScriptedBus.Return(serial, "o", ScriptedBus.Text("/m"))]) { Files = [_file] } : null;
        };
        // Its caller gives up before the bus does, so that the answer still finds the call.
        await using var registry = new MachinedRegistry(new MachinedOptions { BusAddress = bus.Address }, TimeProvider.System, NullLogger<MachinedRegistry>.Instance);
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(token);
        var asking = method.Ask(registry, cancel.Token);
        while (late is null)
        {
            token.ThrowIfCancellationRequested();
            await Task.Yield();
        }
        await cancel.CancelAsync();
        Assert.That(async () => await asking, Throws.InstanceOf<OperationCanceledException>());
        Assert.That(await registry.Client.GetMachineAsync("web", token), Is.EqualTo("/m"));
        Assert.That(OpenAs("file"), Is.EqualTo(1), "our own");
    }

    private async Task AskAsync(HostileMethod method, uint said, int sent, byte[] body, CancellationToken token)
    {
        await using var peer = new HostilePeer(method) { File = _terminal };
        peer.Reply = serial => new ScriptedReply(ScriptedBus.Return(serial, method.Signature, body, said)) { Files = [.. Enumerable.Repeat(_file, sent)] };
        Assert.That(await peer.AskAsync(token), Is.AnyOf("MgmtUnavailableError", "MgmtTimeoutError"), $"{sent} of {said}");
        await peer.RecoversAsync(token);
    }

    private int OpenAs(string name) => Links().Count(link => link == Path.Combine(_directory, name).TrimEnd('/'));

    private static int OpenTerminals() => Links().Count(link => link.EndsWith("/ptmx", StringComparison.Ordinal));

    private static string[] Links() => [.. Directory.GetFileSystemEntries("/proc/self/fd").Select(link => new FileInfo(link).LinkTarget).OfType<string>()];
}
