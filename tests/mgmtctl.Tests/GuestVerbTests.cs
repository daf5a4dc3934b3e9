using System.Text;
using System.Text.Json;

namespace Mgmt.Cli.Tests;

/// <summary>agent, run and cp against a daemon that plays the guest.</summary>
[CancelAfter(20_000)]
public sealed class GuestVerbTests
{
    private const string Call = "mgmt.vm.agent.";

    private static string Payload(string request) => request.Split('\0', 2)[1];

    private static string Method(string request) => request.Split('+')[0][Call.Length..];

    [TestCase("agent work osinfo", "OsInfo", "")]
    [TestCase("agent work guest-get-osinfo", "OsInfo", "")]
    [TestCase("agent work OsInfo", "OsInfo", "")]
    [TestCase("agent work fstrim minimum=5", "Fstrim", """{"minimum":5}""")]
    [TestCase("agent work fstrim {\"minimum\":5}", "Fstrim", """{"minimum":5}""")]
    [TestCase("agent work exec path=/bin/ls arg=-l arg=5 capture-output=true", "Exec", """{"path":"/bin/ls","arg":["-l","5"],"capture-output":true}""")]
    [TestCase("agent work exec path=/bin/ls arg=[\"a=b\"]", "Exec", """{"path":"/bin/ls","arg":["a=b"]}""")]
    [TestCase("agent work exec-status pid=7f", "ExecStatus", """{"pid":"7f"}""")]
    [TestCase("agent work file-seek handle=ab offset=-3 whence=end", "FileSeek", """{"handle":"ab","offset":-3,"whence":"end"}""")]
    [TestCase("agent work set-vcpus vcpus={\"logical-id\":1,\"online\":false}", "SetVcpus", """{"vcpus":[{"logical-id":1,"online":false}]}""")]
    public async Task Words_become_the_arguments_of_the_reference(string line, string call, string payload, CancellationToken token)
    {
        var (code, ctl, requests) = await Ctl.AgainstAsync("0\0{\"name\":\"G\",\"ids\":[1,2]}", token, line.Split(' '));
        Assert.That((code, requests.Single()), Is.EqualTo((0, $"{Call}{call}+ dom0 name work\0{payload}")));
        Assert.That(ctl.Out, Is.EqualTo("name\tG\nids.0\t1\nids.1\t2\n"));
    }

    [TestCase("agent work make-tea", "no command 'make-tea'; it has cpustats, devices")]
    [TestCase("agent work sync", "no command 'sync'")]
    [TestCase("agent work fstrim least=5", "Fstrim has no argument 'least'; it takes {\"minimum\"?: integer}")]
    [TestCase("agent work fstrim minimum=five", "whole number")]
    [TestCase("agent work fstrim minimum=5 minimum=6", "is no list")]
    [TestCase("agent work fstrim 5", "neither NAME=VALUE nor")]
    [TestCase("agent work set-vcpus vcpus=all", "is JSON")]
    public async Task What_is_no_command_or_argument_is_wrong_usage(string line, string says, CancellationToken token)
    {
        var (code, ctl, requests) = await Ctl.AgainstAsync("0\0", token, line.Split(' '));
        Assert.That((code, requests.Count), Is.EqualTo((2, 0)));
        Assert.That(ctl.Error, Does.Contain(says));
    }

    [Test]
    public async Task Help_and_completion_list_the_commands(CancellationToken token)
    {
        var help = new Ctl("/none");
        Assert.That(await help.RunAsync(token, "agent", "--help"), Is.Zero);
        Assert.That(string.Concat(help.Out.Where(c => !char.IsWhiteSpace(c))), Does.Contain("fsfreeze-freeze,").And.Contain("network-interfaces,"));
        var (_, ctl, _) = await Ctl.AgainstAsync("0\0", token, "words", "--", "agent", "work", "file-");
        Assert.That(ctl.Out, Is.EqualTo("file-close\nfile-flush\nfile-open\nfile-read\nfile-seek\nfile-write\n"));
    }

    [TestCase("{\"exited\":true,\"exitcode\":7}", 7)]
    [TestCase("{\"exited\":true,\"exitcode\":0}", 0)]
    [TestCase("{\"exited\":true,\"signal\":9}", 137)]
    public async Task Run_ends_as_the_program_did_and_polls_until_then(string end, int status, CancellationToken token)
    {
        var asked = 0;
        var (code, _, requests) = await Ctl.AgainstAsync(
            request => Method(request) == "Exec" ? "0\0{\"pid\":\"7f\"}" : asked++ < 2 ? "0\0{\"exited\":false}" : "0\0" + end, token, "run", "--captured", "--no-stdin", "work", "ls", "/tmp");
        Assert.That(code, Is.EqualTo(status));
        Assert.That(requests[0], Is.EqualTo($$"""{{Call}}Exec+ dom0 name work{{"\0"}}{"path":"ls","arg":["/tmp"],"capture-output":true}"""));
        Assert.That(requests.Skip(1), Has.All.EqualTo($$"""{{Call}}ExecStatus+ dom0 name work{{"\0"}}{"pid":"7f"}""").And.Exactly(3).Items);
    }

    [Test]
    public async Task Run_passes_input_and_keeps_output_and_errors_apart(CancellationToken token)
    {
        await using var daemon = Wire.Tests.ScriptedDaemon.Answering(Wire.Tests.ScriptedDaemon.NewPath(), request => Encoding.Latin1.GetBytes(Method(request) == "Exec"
            ? "0\0{\"pid\":\"7f\"}"
            : $$"""0{{"\0"}}{"exited":true,"exitcode":0,"out-data":"{{Convert.ToBase64String([0, 255, 10])}}","err-data":"{{Convert.ToBase64String("bad\u001b"u8)}}","out-truncated":true}"""));
        var ctl = new Ctl(daemon.Path) { Input = "typed", ErrorIsTerminal = true };
        Assert.That(await ctl.RunAsync(token, "run", "--captured", "--env", "A=b", "work", "--shell", "cat | wc"), Is.Zero);
        Assert.That(Payload(daemon.Requests[0]), Is.EqualTo("""{"path":"/bin/sh","arg":["-c","cat | wc"],"env":["A=b"],"input-data":"dHlwZWQ=","capture-output":true}"""));
        Assert.That(ctl.OutBytes, Is.EqualTo(new byte[] { 0, 255, 10 }));
        Assert.That(ctl.Error, Is.EqualTo("bad\\x1bmgmtctl: the output is cut off: the guest agent keeps 16 MiB\n"));
    }

    /// <summary>Where files cannot be had, or not read, or no shell, or no such program: as before, in one piece.</summary>
    [TestCase("none")]
    [TestCase("other")]
    [TestCase("FileOpen")]
    [TestCase("FileRead")]
    public async Task Run_shows_output_at_the_end_where_it_cannot_be_read_before(string lacks, CancellationToken token)
    {
        var programs = new List<string>();
        var prepared = "";
        var (code, ctl, requests) = await Ctl.AgainstAsync(request =>
        {
            switch (Method(request))
            {
                case "Exec":
                    var words = JsonDocument.Parse(Payload(request)).RootElement;
                    programs.Add(words.GetProperty("path").GetString()!);
                    prepared = programs.Count == 1 ? words.GetProperty("arg")[3].GetString()! : prepared;
                    return lacks == "none" && programs.Count == 1 ? "2\0QubesException\0\0no /bin/sh\0" : "0\0{\"pid\":\"7f\"}";
                case "ExecStatus":
                    var text = programs[^1] == "ls" ? "files\n" : lacks == "other" ? "/tmp/another\n" : $"/tmp/{prepared}\n";
                    return $$"""0{{"\0"}}{"exited":true,"exitcode":0,"out-data":"{{Convert.ToBase64String(Encoding.ASCII.GetBytes(text))}}"}""";
                case var method when method == lacks:
                    return "2\0PermissionDenied\0\0Denied\0";
                default:
                    return Method(request) == "FileOpen" ? "0\0\"ab\"" : "0\0{}";
            }
        }, token, "run", "--no-stdin", "work", "ls");
        Assert.That((code, ctl.Out, ctl.Error), Is.EqualTo((0, "files\n", "")));
        Assert.That(programs, Is.EqualTo(lacks is "none" or "other" ? new[] { "/bin/sh", "ls" } : ["/bin/sh", "/bin/rm", "ls"]), "nothing is left behind");
        Assert.That(requests.Count(request => Method(request) == "FileClose"), Is.EqualTo(lacks == "FileRead" ? 2 : 0));
    }

    [TestCase("2\0PermissionDenied\0\0Denied\0", 126)]
    [TestCase("2\0QubesException\0\0no such program\0", 125)]
    [TestCase("2\0MgmtUnavailableError\0\0no agent\0", 125)]
    public async Task Run_tells_its_own_failure_from_the_programs(string answer, int code, CancellationToken token)
    {
        var (got, ctl, _) = await Ctl.AgainstAsync(answer, token, "run", "--captured", "--no-stdin", "work", "true");
        Assert.That((got, ctl.Error.Count(c => c == '\n')), Is.EqualTo((code, 1)));
    }

    [Test]
    public async Task Input_longer_than_one_command_takes_is_refused_before_anything_is_run(CancellationToken token)
    {
        await using var daemon = Wire.Tests.ScriptedDaemon.Answering(Wire.Tests.ScriptedDaemon.NewPath(), "0\0");
        var ctl = new Ctl(daemon.Path) { Input = new string('x', (1 << 20) + 1) };
        Assert.That((await ctl.RunAsync(token, "run", "work", "cat"), daemon.Requests.Count), Is.EqualTo((125, 0)));
        Assert.That(ctl.Error, Does.Contain("1 MiB"));
    }

    [Test]
    public async Task A_file_is_fetched_whole_with_its_mode(CancellationToken token)
    {
        var directory = Directory.CreateTempSubdirectory().FullName;
        var guest = new ScriptedGuest("hello there, this is a file"u8.ToArray());
        var (code, ctl, _) = await Ctl.AgainstAsync(guest.Answer, token, "cp", "work:/etc/thing", directory, "--progress");
        Assert.That((code, ctl.Out), Is.EqualTo((0, "")), ctl.Error);
        var file = Path.Combine(directory, "thing");
        Assert.That(await File.ReadAllTextAsync(file, token), Is.EqualTo("hello there, this is a file"));
        Assert.That(File.GetUnixFileMode(file), Is.EqualTo((UnixFileMode)Convert.ToInt32("640", 8)));
        Assert.That(Directory.GetFiles(directory), Is.EqualTo(new[] { file }));
        Assert.That(ctl.Error, Does.Contain("of 27 B (100%)"));
        Assert.That(guest.Open, Is.Zero);
    }

    [TestCase("FileRead")]
    [TestCase("short")]
    public async Task A_copy_that_breaks_off_leaves_what_was_there(string fails, CancellationToken token)
    {
        var directory = Directory.CreateTempSubdirectory().FullName;
        var file = Path.Combine(directory, "thing");
        await File.WriteAllTextAsync(file, "old", token);
        var guest = new ScriptedGuest("hello there, this is a file"u8.ToArray()) { Fails = fails };
        var (code, _, _) = await Ctl.AgainstAsync(guest.Answer, token, "cp", "work:/etc/thing", file);
        Assert.That((code, await File.ReadAllTextAsync(file, token), Directory.GetFiles(directory).Length, guest.Open), Is.EqualTo((1, "old", 1, 0)));
    }

    [Test]
    public async Task A_file_is_brought_under_another_name_and_renamed_when_it_is_whole(CancellationToken token)
    {
        var local = Path.GetTempFileName();
        await File.WriteAllTextAsync(local, new string('x', Guest.ChunkBytes + 7), token);
        File.SetUnixFileMode(local, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        var guest = new ScriptedGuest([]);
        var (code, ctl, requests) = await Ctl.AgainstAsync(guest.Answer, token, "cp", local, "work:/srv/thing");
        Assert.That(code, Is.Zero, ctl.Error);
        Assert.That((guest.Written.Length, guest.Open), Is.EqualTo(((long)Guest.ChunkBytes + 7, 0)));
        var finish = JsonDocument.Parse(Payload(requests.Single(request => Method(request) == "Exec"))).RootElement.GetProperty("arg").EnumerateArray().Select(e => e.GetString()).ToArray();
        Assert.That(finish[3], Does.Match("^/srv/thing\\.part-[0-9a-f]{8}$"));
        Assert.That(finish[4..7], Is.EqualTo(new[] { "/srv/thing", "600", "524295" }));
    }

    [Test]
    public async Task What_the_guest_does_not_take_is_removed_there(CancellationToken token)
    {
        var local = Path.GetTempFileName();
        await File.WriteAllTextAsync(local, "text", token);
        var guest = new ScriptedGuest([]) { Fails = "FileWrite" };
        var (code, _, requests) = await Ctl.AgainstAsync(guest.Answer, token, "cp", local, "work:/srv/thing");
        Assert.That((code, guest.Open), Is.EqualTo((1, 0)));
        Assert.That(Payload(requests.Single(request => Method(request) == "Exec")), Does.StartWith("""{"path":"/bin/rm","arg":["-f","--","/srv/thing.part-"""));
    }

    [TestCase("cp a b", "one of both files is in a VM")]
    [TestCase("cp work:/a other:/b", "one of both files is in a VM")]
    [TestCase("cp work: b", "is no file of a VM")]
    [TestCase("cp work:/a b --mode 8", "is no mode")]
    public async Task What_cannot_be_copied_is_wrong_usage(string line, string says, CancellationToken token)
    {
        var guest = new ScriptedGuest([]);
        var (code, ctl, _) = await Ctl.AgainstAsync(guest.Answer, token, line.Split(' '));
        Assert.That((code, ctl.Error.Contains(says, StringComparison.Ordinal)), Is.EqualTo((2, true)), ctl.Error);
    }

    /// <summary>One file, and what was written to another.</summary>
    private sealed class ScriptedGuest(byte[] file)
    {
        private int _read;

        public MemoryStream Written { get; } = new();

        public int Open { get; private set; }

        public string Fails { get; init; } = "";

        public string Answer(string request)
        {
            var method = Method(request);
            if (method == Fails)
            {
                return "2\0QubesException\0\0broken\0";
            }
            return "0\0" + method switch
            {
                "Exec" => "{\"pid\":\"7f\"}",
                "ExecStatus" => $$"""{"exited":true,"exitcode":0,"out-data":"{{Convert.ToBase64String(Encoding.ASCII.GetBytes($"{file.Length} 640\n"))}}"}""",
                "FileOpen" => Opened(),
                "FileRead" => Read(),
                "FileWrite" => Wrote(Payload(request)),
                "FileClose" => Closed(),
                _ => "{}",
            };
        }

        private string Opened()
        {
            Open++;
            return "\"ab\"";
        }

        private string Closed()
        {
            Open--;
            return "{}";
        }

        private string Read()
        {
            var n = Math.Min(10, file.Length - _read);
            var text = Convert.ToBase64String(file, _read, n);
            _read += n;
            return $$"""{"count":{{n}},"buf-b64":"{{text}}","eof":{{(n == 0 || Fails == "short" ? "true" : "false")}}}""";
        }

        private string Wrote(string payload)
        {
            var bytes = JsonDocument.Parse(payload).RootElement.GetProperty("buf-b64").GetBytesFromBase64();
            // A guest that takes less than it is given.
            var taken = Math.Min(bytes.Length, 300_000);
            Written.Write(bytes, 0, taken);
            return $$"""{"count":{{taken}},"eof":false}""";
        }
    }
}
