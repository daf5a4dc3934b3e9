using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>make install into a directory, with the programs that make build left in out/bin.</summary>
internal sealed partial class InstallTests
{
    private const UnixFileMode File644 = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
    private const UnixFileMode File755 = File644 | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(180);
    private static readonly string Root = FindRoot();
    // What the make around the tests would hand down to the one in them.
    private static readonly string[] MakeVariables = ["MAKEFLAGS", "MFLAGS", "MAKELEVEL"];
    private string _destination = "";

    private static IEnumerable<string> Services => new[] { "mgmt.*", "admin.*" }
        .SelectMany(pattern => Directory.EnumerateFiles(Path.Combine(Root, "rpc-services"), pattern)).Select(path => Path.GetFileName(path));

    [SetUp]
    public void MakeDestination() => _destination = Directory.CreateTempSubdirectory("mgmt-install-").FullName;

    [TearDown]
    public void RemoveDestination() => Directory.Delete(_destination, recursive: true);

    [Test]
    public async Task Install_puts_each_file_in_its_place_with_its_mode()
    {
        await MakeAsync("install");
        var modes = Files().ToDictionary(path => path, path => File.GetUnixFileMode(At(path)));
        var expected = new Dictionary<string, UnixFileMode>
        {
            ["usr/local/sbin/mgmtd"] = File755,
            ["usr/local/bin/mgmtctl"] = File755,
            ["usr/local/sbin/mgmtd-rpc"] = File755,
            ["usr/local/share/bash-completion/completions/mgmtctl"] = File644,
            ["lib/systemd/system/mgmtd.service"] = File644,
            ["lib/systemd/system/mgmtd.socket"] = File644,
            ["usr/lib/sysusers.d/mgmt.conf"] = File644,
            ["usr/lib/tmpfiles.d/mgmt.conf"] = File644,
            ["etc/mgmt/mgmtd.conf"] = File644,
            ["etc/logrotate.d/mgmtd"] = File644,
            ["etc/mgmt/policy.d/90-mgmt-default.policy"] = File644,
            ["etc/mgmt/policy.d/include/mgmt-host-ro"] = File644,
            ["etc/mgmt/policy.d/include/mgmt-host-rwx"] = File644,
            ["etc/mgmt/policy.d/include/mgmt-vm-ro"] = File644,
            ["etc/mgmt/policy.d/include/mgmt-vm-rwx"] = File644,
        };
        Assert.That(modes, Is.EquivalentTo(expected));
    }

    [Test]
    public async Task Install_with_a_prefix_says_so_in_the_unit()
    {
        await MakeAsync("install", "PREFIX=/usr");
        Assert.That(File.Exists(At("usr/sbin/mgmtd")));
        Assert.That(await File.ReadAllTextAsync(At("lib/systemd/system/mgmtd.service")), Does.Contain("\nExecStart=/usr/sbin/mgmtd\n"));
    }

    [Test]
    public async Task Install_keeps_what_the_administrator_wrote()
    {
        await MakeAsync("install");
        string[] theirs = ["etc/mgmt/mgmtd.conf", "etc/logrotate.d/mgmtd", "etc/mgmt/policy.d/include/mgmt-vm-ro"];
        foreach (var path in theirs)
        {
            await File.WriteAllTextAsync(At(path), "theirs");
        }
        await File.WriteAllTextAsync(At("etc/mgmt/policy.d/90-mgmt-default.policy"), "generated, so replaced");
        await MakeAsync("install");
        Assert.That(theirs.Select(path => File.ReadAllText(At(path))), Is.All.EqualTo("theirs"));
        Assert.That(await File.ReadAllTextAsync(At("etc/mgmt/policy.d/90-mgmt-default.policy")), Is.EqualTo(await File.ReadAllTextAsync(Path.Combine(Root, "policy/90-mgmt-default.policy"))));
    }

    [Test]
    public async Task Install_links_every_service_where_there_is_qrexec()
    {
        string[] programs = ["admin.vm.Console", "admin.vm.volume.Import", "admin.vm.volume.ImportWithSize"];
        Directory.CreateDirectory(At("etc/qubes-rpc"));
        Directory.CreateDirectory(At("etc/qubes/policy.d"));
        await MakeAsync("install");
        // Once more over the first: what is ours is replaced.
        await MakeAsync("install");
        var links = Directory.GetFileSystemEntries(At("etc/qubes-rpc")).ToDictionary(path => Path.GetFileName(path), path => new FileInfo(path).LinkTarget);
        Assert.That(links.Keys, Is.EquivalentTo(Services));
        Assert.That(links.Where(link => !programs.Contains(link.Key)).Select(link => link.Value), Is.All.EqualTo("/run/mgmtd/mgmtd.sock"));
        foreach (var program in programs)
        {
            Assert.That(links[program], Is.EqualTo("/usr/local/sbin/mgmtd-rpc"));
        }
        Assert.That(Directory.GetFiles(At("etc/qubes/rpc-config")).Select(Path.GetFileName), Is.EquivalentTo(Services));
        Assert.That(File.Exists(At("etc/qubes/policy.d/90-mgmt.policy")));
        await MakeAsync("uninstall");
        Assert.That(Directory.EnumerateFileSystemEntries(At("etc/qubes-rpc")).Concat(Directory.EnumerateFiles(At("etc/qubes"), "*", SearchOption.AllDirectories)), Is.Empty);
    }

    [Test]
    public async Task Install_takes_over_no_service_of_somebody_else_and_then_installs_nothing()
    {
        Directory.CreateDirectory(At("etc/qubes-rpc"));
        await File.WriteAllTextAsync(At("etc/qubes-rpc/mgmt.vm.List"), "theirs");
        var (status, output) = await RunAsync("make", MakeWords("install"), MakeVariables);
        Assert.That(status, Is.Not.Zero);
        Assert.That(output, Does.Contain("/etc/qubes-rpc/mgmt.vm.List is not ours"));
        Assert.That(Files(), Is.EqualTo(["etc/qubes-rpc/mgmt.vm.List"]));
    }

    [Test]
    public async Task Uninstall_leaves_services_of_somebody_else_alone()
    {
        Directory.CreateDirectory(At("etc/qubes-rpc"));
        Directory.CreateDirectory(At("etc/qubes/rpc-config"));
        foreach (var theirs in new[] { "etc/qubes-rpc/admin.vm.Start", "etc/qubes/rpc-config/admin.vm.Start", "etc/qubes-rpc/admin.vm.volume.Import" })
        {
            await File.WriteAllTextAsync(At(theirs), "theirs");
        }
        File.CreateSymbolicLink(At("etc/qubes-rpc/admin.vm.List"), "/var/run/qubesd.sock");
        var before = Files().Order(StringComparer.Ordinal).ToList();
        await MakeAsync("uninstall");
        Assert.That(Files().Order(StringComparer.Ordinal), Is.EqualTo(before));
    }

    [Test]
    public async Task Install_refuses_on_Qubes_itself()
    {
        Directory.CreateDirectory(At("etc/qubes-rpc"));
        File.CreateSymbolicLink(At("etc/qubes-rpc/admin.vm.List"), "/var/run/qubesd.sock");
        var (status, output) = await RunAsync("make", MakeWords("install"), MakeVariables);
        Assert.That(status, Is.Not.Zero);
        Assert.That(output, Does.Contain("/etc/qubes-rpc/admin.vm.List is not ours").And.Contain("looks like Qubes OS itself"));
        Assert.That(Files(), Is.EqualTo(["etc/qubes-rpc/admin.vm.List"]));
    }

    [Test]
    public async Task Uninstall_leaves_only_what_the_administrator_may_have_changed()
    {
        await MakeAsync("install");
        await MakeAsync("uninstall");
        Assert.That(Files(), Is.EquivalentTo([
            "etc/logrotate.d/mgmtd", "etc/mgmt/mgmtd.conf", "etc/mgmt/policy.d/include/mgmt-host-ro", "etc/mgmt/policy.d/include/mgmt-host-rwx",
            "etc/mgmt/policy.d/include/mgmt-vm-ro", "etc/mgmt/policy.d/include/mgmt-vm-rwx"]));
    }

    [Test]
    public async Task What_is_installed_serves_the_vms_of_a_stock_qrexec()
    {
        Directory.CreateDirectory(At("etc/qubes-rpc"));
        await MakeAsync("install");
        await using var daemon = await DaemonProcess.StartAsync(new() { Policy = new Dictionary<string, string>(StringComparer.Ordinal) { ["20-test.policy"] = """
            admin.vm.List * work @adminvm allow
            admin.vm.Start * work vault allow target=dom0
            admin.vm.volume.Import +private work vault allow target=dom0
            admin.vm.volume.ImportWithSize +private work vault allow target=dom0
            admin.vm.volume.Info +private work vault allow target=dom0

            """ } });
        var qrexec = new QrexecFrontEnd(_destination);
        qrexec.PointTo(daemon.SocketPath);
        Assert.That(await qrexec.CallAsync("work", "@adminvm", "admin.vm.List", []), Does.StartWith("0␀").And.Contain("\nvault class=AppVM state=Halted uuid="));
        Assert.That(await qrexec.CallAsync("work", "dom0", "mgmt.vm.List", []), Does.Contain("\nvault class=AppVM state=Halted\n"));

        var content = new byte[1 << 20];
        Random.Shared.NextBytes(content);
        byte[] sized = [.. "1048576\n"u8, .. content];
        Assert.That(await qrexec.CallAsync("work", "vault", "admin.vm.volume.ImportWithSize+private", sized), Is.EqualTo("0␀"));
        Assert.That(await qrexec.CallAsync("work", "vault", "admin.vm.volume.Info+private", []), Does.Contain("\nsize=1048576\n"));
        Assert.That(await qrexec.CallAsync("work", "vault", "admin.vm.volume.Import+private", content), Is.EqualTo("0␀"));
        Assert.That(await qrexec.CallAsync("work", "vault", "mgmt.vm.volume.Import+private", content), Is.EqualTo("0␀"), "over the socket");
        Assert.That(await qrexec.CallAsync("work", "vault", "admin.vm.volume.Import+root", []), Does.StartWith("2␀QubesDaemonAccessError␀"));

        Assert.That(await qrexec.CallAsync("vault", "vault", "admin.vm.Start", []), Does.StartWith("2␀QubesDaemonAccessError␀"));
        Assert.That(await qrexec.CallAsync("work", "vault", "admin.vm.Start", []), Is.EqualTo("0␀"));
        Assert.That(await daemon.StateAsync("vault"), Is.EqualTo("Running"));
        Assert.That(await qrexec.CallAsync("work", "vault", "admin.vm.volume.Import+private", content), Does.StartWith("2␀QubesVMNotHaltedError␀"));
    }

    [Test]
    public async Task The_units_are_as_systemd_wants_them()
    {
        await MakeAsync("install");
        var units = At("lib/systemd/system");
        var service = Path.Combine(units, "mgmtd.service");
        await File.WriteAllTextAsync(service, (await File.ReadAllTextAsync(service)).Replace("ExecStart=", "ExecStart=" + _destination, StringComparison.Ordinal));
        if (!File.Exists("/usr/bin/systemd-analyze"))
        {
            Requirement.Missing("systemd-analyze is missing");
        }
        var (status, output) = await RunAsync("systemd-analyze", ["verify", "--man=no", service, Path.Combine(units, "mgmtd.socket")], []);
        Assert.That(status, Is.Zero, output);
        Assert.That(output, Does.Not.Contain("mgmtd."));
    }

    [Test]
    public async Task Logrotate_turns_the_audit_log_over_and_no_line_is_lost()
    {
        Requirement.Program("logrotate");
        await MakeAsync("install");
        await using var daemon = await DaemonProcess.StartAsync(new());
        var rotation = At("rotation");
        var reload = $"kill -HUP {daemon.Pid}";
        await File.WriteAllTextAsync(rotation, (await File.ReadAllTextAsync(At("etc/logrotate.d/mgmtd"))).Replace("/var/lib/mgmtd", daemon.StateDirectory, StringComparison.Ordinal)
            .Replace("! systemctl is-active --quiet mgmtd || systemctl reload mgmtd", reload, StringComparison.Ordinal));
        await daemon.OkAsync("mgmt.label.List");
        var (status, output) = await RunAsync("logrotate", ["--force", "--state", At("rotation.state"), rotation], []);
        Assert.That((status, output), Is.EqualTo((0, "")));
        await TestUntil.TrueAsync(() => Task.FromResult(File.Exists(Path.Combine(daemon.StateDirectory, "audit.log"))));
        await daemon.OkAsync("mgmt.pool.List");
        var earlier = await File.ReadAllLinesAsync(Path.Combine(daemon.StateDirectory, "audit.log.1"));
        Assert.That(earlier, Has.Some.Contain("mgmt.label.List"));
        Assert.That(daemon.Audit("mgmt.pool.List"), Has.Count.EqualTo(1));
    }

    [Test]
    public async Task The_installed_policy_and_the_example_configuration_serve()
    {
        await MakeAsync("install");
        await ServeAsync(At("etc/mgmt/mgmtd.conf"), At("etc/mgmt/policy.d"));
    }

    [Test]
    public async Task The_example_has_every_setting_in_words_that_the_daemon_takes()
    {
        var example = await File.ReadAllTextAsync(Path.Combine(Root, "src/mgmtd/packaging/mgmtd.conf"));
        var active = CommentedSetting().Replace(example, "$1");
        var path = At("all.conf");
        await File.WriteAllTextAsync(path, active);
        using var document = JsonDocument.Parse(active, new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
        var code = string.Concat(Directory.EnumerateFiles(Path.Combine(Root, "src/mgmtd/Configuration"), "*Settings.cs").Select(File.ReadAllText));
        Assert.That(document.RootElement.EnumerateObject().Select(p => p.Name), Is.EquivalentTo(SettingInCode().Matches(code).Select(m => m.Groups[1].Value)));
        await ServeAsync(path, Path.Combine(Root, "policy"));
    }

    /// <summary>Starts the installed daemon's program on the host in memory, waits until it says READY and ends it.</summary>
    private async Task ServeAsync(string configuration, string policy)
    {
        var address = At("notify");
        using var notify = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        notify.Bind(new UnixDomainSocketEndPoint(address));
        using var limit = new CancellationTokenSource(Deadline);
        var start = new ProcessStartInfo(Path.Combine(Root, "out/bin/mgmtd"), [
            "--config", configuration, "--backend", "test:///default", "--state-dir", At("state"), "--run-dir", At("run"), "--policy-dir", policy]) { RedirectStandardError = true };
        start.Environment["NOTIFY_SOCKET"] = address;
        using var daemon = Process.Start(start)!;
        var log = daemon.StandardError.ReadToEndAsync(limit.Token);
        var buffer = new byte[256];
        var ready = notify.ReceiveAsync(buffer, limit.Token).AsTask();
        await Task.WhenAny(ready, daemon.WaitForExitAsync(limit.Token));
        if (!ready.IsCompletedSuccessfully)
        {
            daemon.Kill();
            Assert.Fail(await log);
        }
        Assert.That(Encoding.UTF8.GetString(buffer, 0, await ready), Is.EqualTo("READY=1"));
        await RunAsync("kill", ["-TERM", daemon.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)], []);
        await daemon.WaitForExitAsync(limit.Token);
        Assert.That(daemon.ExitCode, Is.Zero, await log);
    }

    private async Task MakeAsync(params string[] words)
    {
        var (status, output) = await RunAsync("make", MakeWords(words), MakeVariables);
        Assert.That(status, Is.Zero, output);
    }

    // -o: the programs count as up to date, so that a test never builds.
    private string[] MakeWords(params string[] words)
    {
        if (new[] { "mgmtd", "mgmtctl", "mgmtd-rpc" }.Any(name => !File.Exists(Path.Combine(Root, "out/bin", name))))
        {
            Requirement.Missing("out/bin is not built: make build");
        }
        return ["-s", "-C", Root, "-o", "out/bin/mgmtd", "-o", "out/bin/mgmtctl", "-o", "out/bin/mgmtd-rpc", "DESTDIR=" + _destination, .. words];
    }

    private static async Task<(int Status, string Output)> RunAsync(string program, string[] words, string[] withoutVariables)
    {
        using var limit = new CancellationTokenSource(Deadline);
        var start = new ProcessStartInfo(program, words) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var name in withoutVariables)
        {
            start.Environment.Remove(name);
        }
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync(limit.Token);
        var error = process.StandardError.ReadToEndAsync(limit.Token);
        await process.WaitForExitAsync(limit.Token);
        return (process.ExitCode, await output + await error);
    }

    private string At(string path) => Path.Combine(_destination, path);

    private IEnumerable<string> Files() =>
        Directory.EnumerateFiles(_destination, "*", SearchOption.AllDirectories).Select(path => Path.GetRelativePath(_destination, path));

    private static string FindRoot()
    {
        for (var at = new DirectoryInfo(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            if (File.Exists(Path.Combine(at.FullName, "Mgmt.sln")))
            {
                return at.FullName;
            }
        }
        throw new FileNotFoundException("Mgmt.sln is not above the tests");
    }

    [GeneratedRegex("^  // (\"[a-z-]+\": .*)$", RegexOptions.Multiline)]
    private static partial Regex CommentedSetting();

    [GeneratedRegex("file\\.(?:Text|Texts|Flag|Number|OneOf)\\(\"([a-z-]+)\"")]
    private static partial Regex SettingInCode();
}
