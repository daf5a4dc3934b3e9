using System.IO.Pipelines;
using System.Text;
using System.Text.Json;

namespace Mgmt.Cli.Tests;

/// <summary>machine: a real container of the real systemd-machined, started, listed, entered, copied from and to, and stopped.</summary>
[CancelAfter(20_000)]
[NonParallelizable]
public sealed class MachineOfADaemonTests
{
    private MachineOfAHost _host;

    [OneTimeSetUp]
    public async Task Start()
    {
        _host = await MachineOfAHost.StartAsync("""{ "machine-copy-mib": 4 }""");
        await _host.DoneAsync(CancellationToken.None, "machine", "start", "web");
    }

    [OneTimeTearDown]
    public async Task Stop()
    {
        if (_host is not null)
        {
            await _host.DisposeAsync();
        }
    }

    [Test]
    public async Task It_is_listed_and_told_of(CancellationToken token)
    {
        Assert.That(await _host.DoneAsync(token, "machine", "ls"), Is.EqualTo("web\tcontainer\tsystemd-nspawn\n"));
        using var list = JsonDocument.Parse(await _host.DoneAsync(token, "machine", "ls", "--json"));
        Assert.That(list.RootElement[0].GetProperty("name").GetString(), Is.EqualTo("web"));
        var info = (await _host.DoneAsync(token, "machine", "info", "web")).Split('\n');
        Assert.That(info, Is.SupersetOf(new[]
        {
            "name\tweb", "class\tcontainer", "service\tsystemd-nspawn", "unit\tsystemd-nspawn@web.service", "root\t/var/lib/machines/web", "state\trunning", "os.ID\ttest", "os.PRETTY_NAME\tTest container",
        }));
        Assert.That(info, Has.Some.Match("^leader\t[0-9]+$").And.Some.Match("^since\t20.*Z$").And.Some.Match("^addresses\t"));
    }

    [Test]
    public async Task It_is_told_which_addresses_it_has(CancellationToken token)
    {
        await _host.DoneAsync(token, "machine", "run", "web", "/bin/sh", "--", "-ec", "ip link add br0 type bridge; ip address add 10.7.7.7/24 dev br0; ip link set br0 up");
        Assert.That((await _host.DoneAsync(token, "machine", "info", "web")).Split('\n'), Has.Some.Match("^addresses\t.*10\\.7\\.7\\.7"));
    }

    [Test]
    public async Task A_started_one_is_started_again_without_change(CancellationToken token) => await _host.DoneAsync(token, "machine", "start", "web");

    [Test]
    public async Task A_program_runs_in_it_with_its_arguments_environment_and_exit_status(CancellationToken token)
    {
        Assert.That(await _host.DoneAsync(token, "machine", "run", "web", "/bin/sh", "--", "-c", "hostname; id -un; printf 'a b\\n'"), Is.EqualTo("web\nroot\na b\n"));
        Assert.That(await _host.DoneAsync(token, "machine", "run", "web", "--user", "nobody", "--env", "HUE=dark red", "/bin/sh", "--", "-c", "id -un; echo $HUE"), Is.EqualTo("nobody\ndark red\n"));
        Assert.That((await _host.CtlAsync(token, "machine", "run", "web", "/bin/sh", "--", "-c", "exit 3")).Code, Is.EqualTo(3));
        Assert.That((await _host.CtlAsync(token, "machine", "run", "web", "/bin/none")).Code, Is.EqualTo(127));
        Assert.That((await _host.CtlAsync(token, "machine", "run", "web", "bin/none")).Error, Does.Contain("absolute path"));
    }

    [Test]
    public async Task A_program_reads_what_it_is_given_up_to_its_end(CancellationToken token)
    {
        var ctl = new Ctl(_host.Daemon.SocketPath) { Input = "one\ntwo\nlast" };
        Assert.That(await ctl.RunAsync(token, "machine", "run", "-i", "web", "/usr/bin/wc", "--", "-lc"), Is.Zero, ctl.Error);
        Assert.That(ctl.Out.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(word => word.Trim()), Is.EqualTo(new[] { "2", "12" }));
    }

    [Test]
    public async Task A_terminal_has_a_size_and_Ctrl_bracket_leaves_it(CancellationToken token)
    {
        var keys = new Pipe();
        var ctl = new Ctl(_host.Daemon.SocketPath) { InputIsTerminal = true, OutIsTerminal = true, Keys = keys.Reader.AsStream(), Size = (31, 101) };
        var running = ctl.RunAsync(token, "machine", "run", "web", "/bin/sh");
        await keys.Writer.WriteAsync("stty size; tty\r"u8.ToArray(), token);
        await ctl.UntilOutAsync("/dev/pts/", token);
        ctl.Size = (32, 102);
        ctl.Resized();
        await keys.Writer.WriteAsync("stty size\r"u8.ToArray(), token);
        await ctl.UntilOutAsync("32 102", token);
        await keys.Writer.WriteAsync(new byte[] { 0x1D }, token);
        Assert.That(await running, Is.EqualTo(125), "left before its end");
        Assert.That(ctl.Out, Does.Contain("31 101"));
    }

    [Test]
    public async Task Ctrl_C_ends_the_program_and_its_status_is_told(CancellationToken token)
    {
        var keys = new Pipe();
        var ctl = new Ctl(_host.Daemon.SocketPath) { InputIsTerminal = true, OutIsTerminal = true, Keys = keys.Reader.AsStream(), Size = (24, 80) };
        var running = ctl.RunAsync(token, "machine", "run", "web", "/bin/sh", "--", "-c", "echo ready; exec sleep 600");
        await ctl.UntilOutAsync("ready", token);
        await keys.Writer.WriteAsync(new byte[] { 3 }, token);
        Assert.That(await running, Is.EqualTo(130));
    }

    [Test]
    public async Task A_console_has_a_login_prompt(CancellationToken token)
    {
        var keys = new Pipe();
        var ctl = new Ctl(_host.Daemon.SocketPath) { InputIsTerminal = true, OutIsTerminal = true, Keys = keys.Reader.AsStream(), Size = (24, 80) };
        var running = ctl.RunAsync(token, "machine", "console", "web");
        await ctl.UntilOutAsync("login:", token);
        await keys.Writer.WriteAsync(new byte[] { 0x1D }, token);
        Assert.That(await running, Is.Zero);
        Assert.That(await _host.CtlAsync(token, "machine", "console", "web"), Is.EqualTo((2, "", "mgmtctl: this needs a terminal on standard input and output (see 'mgmtctl machine console --help')\n")));
    }

    [Test]
    public async Task Files_and_directories_go_out_and_in(CancellationToken token)
    {
        await File.WriteAllTextAsync(_host.File("up"), "hello", token);
        await _host.DoneAsync(token, "machine", "cp", _host.File("up"), "web:/srv/up");
        await _host.DoneAsync(token, "machine", "cp", "web:/srv/up", _host.File("down"));
        Assert.That(await File.ReadAllTextAsync(_host.File("down"), token), Is.EqualTo("hello"));
        var tree = Directory.CreateDirectory(_host.File("tree")).FullName;
        Directory.CreateDirectory(Path.Combine(tree, "sub", "empty"));
        await File.WriteAllTextAsync(Path.Combine(tree, "sub", "x"), "deep", token);
        File.CreateSymbolicLink(Path.Combine(tree, "link"), "/etc/passwd");
        await _host.DoneAsync(token, "machine", "cp", tree, "web:/srv/tree");
        await _host.DoneAsync(token, "machine", "cp", "web:/srv/tree", _host.File("back"));
        Assert.That(await File.ReadAllTextAsync(_host.File("back/sub/x"), token), Is.EqualTo("deep"));
        Assert.That(Directory.Exists(_host.File("back/sub/empty")));
        Assert.That(new FileInfo(_host.File("back/link")).LinkTarget, Is.EqualTo("/etc/passwd"), "a link stays a link, here as there");
        await NothingStagedAsync(token);
    }

    [Test]
    public async Task What_cannot_be_copied_is_refused_and_nothing_stays_behind(CancellationToken token)
    {
        var inside = "mkdir -p /srv/odd; mkfifo /srv/odd/pipe; echo x > /srv/odd/f; head -c 6000000 /dev/urandom > /srv/big; ln -sf /etc/shadow /srv/link";
        await _host.DoneAsync(token, "machine", "run", "web", "/bin/sh", "--", "-c", inside);
        using (Assert.EnterMultipleScope())
        {
            Assert.That((await _host.CtlAsync(token, "machine", "cp", "web:/none", _host.File("n"))).Error, Is.EqualTo("mgmtctl: No such file or directory: web:/none\n"));
            Assert.That((await _host.CtlAsync(token, "machine", "cp", "web:/srv/link", _host.File("l"))).Error, Does.Contain("symbolic link to /etc/shadow"));
            Assert.That((await _host.CtlAsync(token, "machine", "cp", "web:/srv/big", _host.File("b"))).Error, Does.Contain("more than 4194304 bytes"));
            Assert.That(await _host.CtlAsync(token, "machine", "cp", "web:/srv/odd", _host.File("o")), Is.EqualTo((0, "", "mgmtctl: 1 device, pipe or socket was left out\n")));
            Assert.That(await File.ReadAllTextAsync(_host.File("o/f"), token), Is.EqualTo("x\n"));
            Assert.That((await _host.CtlAsync(token, "machine", "cp", "/usr/bin/qemu-system-x86_64", "web:/srv/q")).Error, Does.Contain("more than 4194304 bytes"));
            Assert.That(await _host.CtlAsync(token, "machine", "cp", "/etc/hostname", "web:/etc/passwd"), Is.EqualTo((1, "", "mgmtctl: web:/etc/passwd is there already, and systemd-machined writes over nothing\n")));
            await NothingStagedAsync(token);
        }
    }

    [Test]
    public async Task Names_are_checked_before_anything_is_done([Values(".host", "-x", "a..b", "a/b", "über")] string name, CancellationToken token)
    {
        var (code, _, error) = await _host.CtlAsync(token, "call", $"mgmt.machine.Kill+{name}");
        Assert.That(code, Is.EqualTo(1));
        Assert.That(error, name == ".host" ? Does.Contain("is the host itself") : Is.Not.Empty);
    }

    [Test]
    public async Task What_is_not_there_is_said_so(CancellationToken token)
    {
        Assert.That(await _host.CtlAsync(token, "machine", "info", "none"), Is.EqualTo((1, "", "mgmtctl: No such machine: 'none'\n")));
        Assert.That((await _host.CtlAsync(token, "machine", "start", "none")).Error, Is.EqualTo("mgmtctl: No such image: 'none'\n"));
        Assert.That((await _host.CtlAsync(token, "machine", "run", "none", "/bin/true")).Error, Is.EqualTo("mgmtctl: No such machine: 'none'\n"));
    }

    [Test]
    public async Task It_is_shut_down_and_killed_and_both_are_events(CancellationToken token)
    {
        await _host.Machined.MakeContainerAsync("box", token);
        await using var events = await Events.OpenAsync(_host, token);
        await _host.DoneAsync(token, "machine", "start", "box");
        Assert.That(await events.NextAsync(token), Is.EqualTo("machine-new box"));
        await _host.DoneAsync(token, "machine", "shutdown", "box");
        Assert.That(await events.NextAsync(token), Is.EqualTo("machine-removed box"));
        await _host.DoneAsync(token, "machine", "start", "box");
        Assert.That(await events.NextAsync(token), Is.EqualTo("machine-new box"));
        await _host.DoneAsync(token, "machine", "kill", "box");
        Assert.That(await events.NextAsync(token), Is.EqualTo("machine-removed box"));
    }

    [Test]
    public async Task Its_images_are_worked_on(CancellationToken token)
    {
        await _host.DoneAsync(token, "pool", "add", "machines", "machined");
        await _host.DoneAsync(token, "pool", "image", "clone", "machines", "web", "copy", "--read-only");
        Assert.That(await ImagesAsync(token), Does.Match("(?m)^copy\t(directory|subvolume)\tFalse\t"));
        await _host.DoneAsync(token, "pool", "image", "rename", "machines", "copy", "other");
        Assert.That((await _host.CtlAsync(token, "pool", "image", "rm", "machines", "other")).Code, Is.EqualTo(1), "it is read-only");
        await _host.DoneAsync(token, "pool", "image", "set", "machines", "other", "rw");
        await _host.DoneAsync(token, "pool", "image", "rm", "machines", "other");
        Assert.That(await ImagesAsync(token), Does.Not.Contain("other"));
        Assert.That((await _host.CtlAsync(token, "pool", "limit", "machines", "1GiB")).Error, Does.Contain("SetPoolLimit"));
        Assert.That((await _host.CtlAsync(token, "pool", "image", "limit", "machines", "web", "none")).Error, Does.Contain("SetImageLimit"));
        Assert.That((await _host.CtlAsync(token, "pool", "image", "ls", "default")).Error, Does.Contain("keeps no images"));
    }

    private Task<string> ImagesAsync(CancellationToken token) => _host.DoneAsync(token, "pool", "image", "ls", "machines");

    /// <summary>The last frame is sent before the place is removed.</summary>
    private async Task NothingStagedAsync(CancellationToken token)
    {
        while (Staged().Length > 0)
        {
            Assert.That(token.IsCancellationRequested, Is.False, string.Join(' ', Staged()));
            await Task.Delay(10, CancellationToken.None);
        }
    }

    private string[] Staged() => Directory.Exists(Path.Combine(_host.Daemon.StateDirectory, "staging")) ? Directory.GetFileSystemEntries(Path.Combine(_host.Daemon.StateDirectory, "staging")) : [];

    /// <summary>The machine events, from when it is made.</summary>
    private sealed class Events : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly IAsyncEnumerator<Core.MgmtEvent> _events;

        private Events(MachineOfAHost host) => _events = new Wire.MgmtClient(host.Daemon.SocketPath)
            .EventsAsync(new("mgmt.Events", "", "dom0", Wire.DestinationKind.Name, "dom0"), new Core.EventFilter { SinceNow = true, Patterns = ["machine-*"] }, _stop.Token)
            .GetAsyncEnumerator(_stop.Token);

        public static async Task<Events> OpenAsync(MachineOfAHost host, CancellationToken token)
        {
            var events = new Events(host);
            await events._events.MoveNextAsync().AsTask().WaitAsync(token);
            return events;
        }

        public async Task<string> NextAsync(CancellationToken token)
        {
            do
            {
                Assert.That(await _events.MoveNextAsync().AsTask().WaitAsync(token));
            }
            while (_events.Current.Name == "bookmark");
            return $"{_events.Current.Name} {_events.Current["machine"]}";
        }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            try
            {
                await _events.DisposeAsync();
            }
            catch (NotSupportedException)
            {
                // It still waits for an event.
            }
            _stop.Dispose();
        }
    }
}
