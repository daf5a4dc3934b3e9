using System.Net.Sockets;
using System.Text;
using Mgmt.Cli.Formats;
using Mgmt.Cli.Rendering;
using Mgmt.Core;
using Mgmt.Testing;
using Mgmt.Wire.Tests;

namespace Mgmt.Cli.Tests;

/// <summary>Imports, and how far they and what the daemon does are.</summary>
[CancelAfter(20_000)]
public sealed class TransferTests
{
    [Test]
    public async Task A_file_is_sent_after_its_size(CancellationToken token)
    {
        var image = Path.GetTempFileName();
        await File.WriteAllTextAsync(image, new string('i', 200_000), token);
        var (code, ctl, requests) = await Ctl.AgainstAsync("0\0", token, "volume", "import", "work:root", image);
        Assert.That((code, ctl.Out, ctl.Error, requests.Single()), Is.EqualTo((0, "", "", "mgmt.vm.volume.ImportWithSize+root dom0 name work\0200000\n" + new string('i', 200_000))));
    }

    [TestCase("", "mgmt.vm.volume.Import+root dom0 name work\0typed")]
    [TestCase("--size 1KiB", "mgmt.vm.volume.ImportWithSize+root dom0 name work\01024\ntyped")]
    public async Task Standard_input_is_as_long_as_the_volume_or_as_said(string size, string request, CancellationToken token)
    {
        await using var daemon = ScriptedDaemon.Answering(ScriptedDaemon.NewPath(), "0\0");
        var code = await new Ctl(daemon.Path) { Input = "typed" }.RunAsync(token, ["volume", "import", "work:root", "-", .. size.Split(' ', StringSplitOptions.RemoveEmptyEntries)]);
        Assert.That((code, daemon.Requests.Single()), Is.EqualTo((0, request)));
    }

    [Test]
    public async Task A_file_that_is_not_there_is_one_line(CancellationToken token)
    {
        var (code, ctl, requests) = await Ctl.AgainstAsync("0\0", token, "volume", "import", "work:root", "/nonexistent/image");
        Assert.That((code, requests.Count, ctl.Error.Count(c => c == '\n')), Is.EqualTo((1, 0, 1)));
        Assert.That(ctl.Error, Does.Contain("/nonexistent/image"));
    }

    [Test]
    public async Task A_log_is_told_when_asked_for_and_a_terminal_has_a_bar(CancellationToken token)
    {
        var image = Path.GetTempFileName();
        await File.WriteAllTextAsync(image, new string('i', 2048), token);
        await using var daemon = ScriptedDaemon.Answering(ScriptedDaemon.NewPath(), "0\0");
        var log = new Ctl(daemon.Path) { Time = new ManualTime() };
        Assert.That(await log.RunAsync(token, "volume", "import", "work:root", image, "--progress"), Is.Zero);
        Assert.That(log.Error, Is.EqualTo("work:root: 2 KiB of 2 KiB (100%)\n"));
        var person = new Ctl(daemon.Path) { ErrorIsTerminal = true };
        Assert.That(await person.RunAsync(token, "volume", "import", "work:root", image), Is.Zero);
        Assert.That(person.Error, Does.Contain("work:root").And.Contain("\u001b["));
    }

    [TestCase("clone work new", "mgmt.vm.Clone+", "work", "new", "clone")]
    [TestCase("volume snapshot work:root", "mgmt.vm.volume.Snapshot+", "work", null, "snapshot")]
    [TestCase("volume clone work:root spare:root", "mgmt.vm.volume.CloneTo+", "work", "spare", "volume-clone")]
    public async Task A_watched_call_is_made_once_its_events_are_open_and_follows_its_own(string args, string method, string vm, string? other, string operation, CancellationToken token)
    {
        var told = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var called = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var daemon = new ScriptedDaemon(ScriptedDaemon.NewPath(), async (request, socket, stop) =>
        {
            if (!request.StartsWith("mgmt.Events", StringComparison.Ordinal))
            {
                if (request.StartsWith(method, StringComparison.Ordinal))
                {
                    called.SetResult();
                    await told.Task.WaitAsync(stop);
                }
                await SendAsync(socket, "0\07", stop);
                return;
            }
            await SendAsync(socket, "1\0\0connection-established\0\0", stop);
            await called.Task.WaitAsync(stop);
            await SendAsync(socket, Progress("device-copy", 1, 0) + Progress(operation, 2, 0) + Progress(operation, 3, 512) + Progress(operation, 2, 1024), stop);
            await Task.Delay(Timeout.Infinite, stop);
        });
        using var error = new Signalling("1 KiB of 1 KiB", told);
        Assert.That(await RunAsync(daemon.Path, error, token, [.. args.Split(' '), "--progress"]), Is.Zero);
        var title = args.StartsWith("clone", StringComparison.Ordinal) ? "new" : args.Contains("clone", StringComparison.Ordinal) ? "work:root to spare:root" : "work:root";
        Assert.That(error.ToString(), Is.EqualTo($"{title}: 0 B of 1 KiB (0%)\n{title}: 1 KiB of 1 KiB (100%)\n"));
        Assert.That(daemon.Requests, Has.One.EqualTo($"mgmt.Events+ dom0 name dom0\0since=now\nsubject={vm}\n{(other is null ? "" : $"subject={other}\n")}event=progress\n"));
    }

    [Test]
    public async Task Who_may_not_see_events_clones_all_the_same(CancellationToken token)
    {
        await using var daemon = ScriptedDaemon.Answering(ScriptedDaemon.NewPath(), request =>
            Encoding.Latin1.GetBytes(request.StartsWith("mgmt.Events", StringComparison.Ordinal) ? "2\0PermissionDenied\0\0Denied\0" : "0\0"));
        var ctl = new Ctl(daemon.Path);
        Assert.That((await ctl.RunAsync(token, "clone", "work", "new", "--progress"), ctl.Error, daemon.Requests.Count), Is.EqualTo((0, "", 2)));
    }

    [Test]
    public void Lines_come_once_a_second_with_rate_and_time_left()
    {
        var time = new ManualTime();
        using var text = new StringWriter { NewLine = "\n" };
        var lines = new ProgressLines(text, "x", time);
        lines.Report(new CopyProgress(0, 0));
        time.Advance(999);
        lines.Report(new CopyProgress(1 << 20, 10 << 20));
        time.Advance(1);
        lines.Report(new CopyProgress(2 << 20, 10 << 20));
        lines.Report(new CopyProgress(3 << 20, 10 << 20));
        lines.Report(new CopyProgress(10 << 20, 10 << 20));
        lines.Report(new CopyProgress(10 << 20, 10 << 20));
        Assert.That(text.ToString(), Is.EqualTo("x: 0 B\nx: 2 MiB of 10 MiB (20%), 2 MiB/s, 4 s left\nx: 10 MiB of 10 MiB (100%), 10 MiB/s\n"));
    }

    [TestCase("0", 0L, "0 B")]
    [TestCase("1023B", 1023L, "1023 B")]
    [TestCase("1.5KiB", 1536L, "1.5 KiB")]
    [TestCase("10G", 10L << 30, "10 GiB")]
    [TestCase("1GB", 1_000_000_000L, "953.7 MiB")]
    [TestCase("1048575", 1048575L, "1 MiB")]
    [TestCase("9223372036854775807", long.MaxValue, "8 EiB")]
    public void Sizes_are_read_and_shown(string text, long bytes, string readable) =>
        Assert.That((ByteSize.Parse(text).Bytes, ByteSize.Parse(text).Readable()), Is.EqualTo((bytes, readable)));

    [TestCase("")]
    [TestCase("-1")]
    [TestCase("GiB")]
    [TestCase("1..5")]
    [TestCase("1.2.3K")]
    [TestCase("1e9")]
    [TestCase("0.1B")]
    [TestCase("8388608T")]
    [TestCase("9223372036854775808")]
    [TestCase("10gib")]
    public void What_is_no_size_is_refused(string text) => Assert.That(() => ByteSize.Parse(text), Throws.TypeOf<UsageException>());

    private static string Progress(string operation, int id, int done) => $"1\0work\0progress\0operation\0{operation}\0id\0{id}\0done\0{done}\0total\01024\0\0";

    private static async Task SendAsync(Socket socket, string latin1, CancellationToken token) => await socket.SendAsync(Encoding.Latin1.GetBytes(latin1), token);

    private static Task<int> RunAsync(string socket, TextWriter error, CancellationToken token, string[] args) => Program.RunAsync(
        new Terminal { Out = new MemoryStream(), Error = error, OpenInput = () => throw new AssertionException("standard input was read"), Variable = name => name == "MGMT_SOCKET" ? socket : null },
        args,
        new ManualTime(),
        token);

    /// <summary>Says when a text has been written.</summary>
    private sealed class Signalling(string awaited, TaskCompletionSource seen) : StringWriter
    {
        public override void WriteLine(string? value)
        {
            base.Write(value + "\n");
            if (value?.Contains(awaited, StringComparison.Ordinal) == true)
            {
                seen.TrySetResult();
            }
        }
    }
}
