using System.Diagnostics;
using Mgmt.Wire.Tests;

namespace Mgmt.Cli.Tests;

[CancelAfter(30_000)]
public sealed class CompletionAndProcessTests
{
    [TestCase("sta", "start,status")]
    [TestCase("label ", "create,get,ls,rm")]
    [TestCase("start ", "mail,work")]
    [TestCase("start work m", "mail")]
    [TestCase("call a.B w", "work")]
    [TestCase("shutdown work --w", "--wait")]
    [TestCase("ls --js", "--json")]
    [TestCase("policy graph --s", "--service,--skip-labels,--socket,--source,--svg,--system-info")]
    [TestCase("policy graph --source w", "work")]
    [TestCase("policy convert --r", "--rename-legacy")]
    [TestCase("policy c", "convert")]
    [TestCase("policy eval mgmt.vm.Start w", "work")]
    [TestCase("wait work --state Ha", "Halted,Halting")]
    [TestCase("agent work o", "osinfo")]
    [TestCase("agent w", "work")]
    [TestCase("call a", "")]
    [TestCase("console work ", "")]
    [TestCase("device mic work o", "off,on")]
    [TestCase("device mode work block dom0:sdb r", "required")]
    [TestCase("pool set default e", "ephemeral_volatile")]
    [TestCase("completion b", "bash")]
    [TestCase("ls --json w", "work")]
    public async Task Words_are_completed(string typed, string words, CancellationToken token)
    {
        var (code, ctl, _) = await Ctl.AgainstAsync("0\0work class=AppVM state=Running\nmail class=AppVM state=Halted\n", token, ["words", "--", .. typed.Split(' ')]);
        Assert.That((code, ctl.Out.TrimEnd('\n').Replace('\n', ',')), Is.EqualTo((0, words)));
    }

    [TestCase("volume info wo", "work:")]
    [TestCase("volume info work:p", "work:private")]
    [TestCase("volume clone work:root ma", "mail:")]
    [TestCase("volume revert work:root ", "12,3")]
    [TestCase("volume rm-snapshot work:root 3 1", "12")]
    [TestCase("volume revert work ", "")]
    [TestCase("volume set work:root ", "ephemeral,revisions_to_keep,rw")]
    [TestCase("pool info d", "default")]
    [TestCase("pool add fast ", "lvm_thin,qcow2")]
    [TestCase("pool add fa", "")]
    [TestCase("clone w", "work")]
    [TestCase("clone work new --pool d", "default")]
    [TestCase("clone work new --pool-of pr", "private=")]
    [TestCase("clone work new --pool-of private=f", "private=fast")]
    [TestCase("create new --pool f", "fast")]
    [TestCase("create new --pool root=f", "root=fast")]
    [TestCase("pool add big lvm_thin v", "volume_group=")]
    public async Task Names_of_storage_are_completed(string typed, string words, CancellationToken token)
    {
        var (code, ctl, _) = await Ctl.AgainstAsync(
            request => "0\0" + request.Split('+')[0] switch
            {
                "mgmt.vm.List" => "work class=AppVM state=Running\nmail class=AppVM state=Halted\n",
                "mgmt.vm.volume.List" => "private\nroot\n",
                "mgmt.vm.volume.ListSnapshots" => "3\n12\n",
                "mgmt.pool.List" => "default\nfast\n",
                "mgmt.pool.ListDrivers" => "qcow2 dir_path\nlvm_thin volume_group\n",
                _ => throw new AssertionException(request),
            },
            token, ["words", "--", .. typed.Split(' ')]);
        Assert.That((code, ctl.Out.TrimEnd('\n').Replace('\n', ',')), Is.EqualTo((0, words)));
    }

    [TestCase("prefs w", "work")]
    [TestCase("prefs work n", "netvm")]
    [TestCase("prefs work netvm m", "mail")]
    [TestCase("prefs work label b", "black,blue")]
    [TestCase("prefs work debug ", "False,True")]
    [TestCase("prefs work memory ", "")]
    [TestCase("prefs work netvm mail ", "")]
    [TestCase("prefs --global default_", "default_template")]
    [TestCase("prefs --global default_template w", "work")]
    [TestCase("features w", "work")]
    [TestCase("features work service.", "service.cups")]
    [TestCase("features work service.cups ", "")]
    [TestCase("tags work ", "add,del,list")]
    [TestCase("tags work del o", "office")]
    [TestCase("tags work add ", "")]
    [TestCase("label get bl", "black,blue")]
    [TestCase("label create bl", "")]
    [TestCase("create new --label bl", "black,blue")]
    [TestCase("create new --class A", "AppVM")]
    [TestCase("create new --template m", "mail")]
    [TestCase("device ls --class b", "block")]
    [TestCase("device attach work b", "block")]
    [TestCase("device attach work block d", "dom0:sdb")]
    [TestCase("device attach work block mail:", "mail:private")]
    [TestCase("device denied work ", "add,del,list")]
    [TestCase("device denied work del ", "all,u03****")]
    [TestCase("machine info b", "box")]
    [TestCase("machine cp b", "box:")]
    [TestCase("machine cp box:/etc/motd /tm", "")]
    [TestCase("machine start d", "debian-image")]
    [TestCase("pool image clone images d", "debian-image")]
    [TestCase("cp w", "work:")]
    [TestCase("run w", "work")]
    [TestCase("run work l", "")]
    [TestCase("policy get 3", "30-user")]
    [TestCase("policy get --include m", "mgmt-vm-ro")]
    [TestCase("policy revert 30-user 2", "20260102T030405678Z")]
    [TestCase("policy eval mgmt.vm.Start work m", "mail")]
    [TestCase("policy explain mgmt.vm.Start w", "work")]
    [TestCase("calls cancel 1", "17")]
    [TestCase("disposable w", "work")]
    [TestCase("events --subject m", "mail")]
    public async Task Names_of_everything_else_are_completed(string typed, string words, CancellationToken token)
    {
        var (code, ctl, _) = await Ctl.AgainstAsync(request => Host(request.Split('\0')[0]), token, ["words", "--", .. typed.Split(' ')]);
        Assert.That((code, ctl.Out.TrimEnd('\n').Replace('\n', ',')), Is.EqualTo((0, words)));
    }

    private static string Host(string header) => header.Split(' ') is [var call, _, .., var target] ? call.TrimEnd('+') switch
    {
        "mgmt.vm.List" => "0\0work class=AppVM state=Running\nmail class=AppVM state=Halted\n",
        "mgmt.vm.property.List" => "0\0debug\nlabel\nmemory\nnetvm\n",
        "mgmt.vm.property.Get+netvm" => "0\0default=yes type=vm sys-net",
        "mgmt.vm.property.Get+label" => "0\0default=no type=label red",
        "mgmt.vm.property.Get+debug" => "0\0default=yes type=bool False",
        "mgmt.vm.property.Get+memory" => "0\0default=yes type=int 400",
        "mgmt.property.List" => "0\0clockvm\ndefault_template\n",
        "mgmt.property.Get+default_template" => "0\0default=yes type=vm ",
        "mgmt.vm.feature.List" => "0\0gui\nservice.cups\n",
        "mgmt.vm.tag.List" => "0\0created-by-dom0\noffice\n",
        "mgmt.vm.device.denied.List" => "0\0u03****",
        "mgmt.vmclass.List" => "0\0AppVM\nTemplateVM\n",
        "mgmt.label.List" => "0\0red\nblack\nblue\n",
        "mgmt.deviceclass.List" => "0\0block\nusb\n",
        "mgmt.vm.device.block.Available" => target == "dom0" ? "0\0sdb size=1 description=stick\n" : "0\0private size=1 description=volume\n",
        "mgmt.machine.List" => "0\0box class=container\n",
        "mgmt.pool.List" => "0\0default\nimages\n",
        "mgmt.pool.image.List+images" => "0\0debian-image type=raw\n",
        "mgmt.pool.image.List+default" => "2\0StoragePoolException\0\0Pool %s holds no images\0default\0",
        "mgmt.policy.List" => "0\030-user\n50-site\n",
        "mgmt.policy.include.List" => "0\0mgmt-vm-ro\n",
        "mgmt.policy.History+30-user" => "0\020260102T030405678Z 2026-01-02T03:04:05Z dom0 sha256:0\n",
        "mgmt.call.List" => "0\017 method=mgmt.Events source=dom0 target=dom0 age_ms=5 via=socket\n",
        _ => throw new AssertionException(header),
    } : throw new AssertionException(header);

    [Test]
    public void Every_argument_and_every_value_of_an_option_is_completed_or_known_to_be_for_new_words()
    {
        // New names, numbers, sizes, texts and programs; FILE, DIR and PATH are the shell's own.
        string[] free =
        [
            "NAME", "NEW", "SIZE", "COLOR", "TEXT", "VALUE", "CMD", "NAME=VALUE", "METHOD[+ARG]", "SERVICE[+ARG]", "SERVICE", "PATTERN", "CURSOR", "COMMAND", "SECONDS", "TOKEN", "USER", "URI", "WORD", "MODE",
            "FILE", "DIR", "PATH",
        ];
        var verbs = All(Program.Build(Terminal.OfProcess(), TimeProvider.System).Root).ToList();
        var arguments = verbs.SelectMany(verb => verb.Arguments.Select(argument => (Symbol: (System.CommandLine.Symbol)argument, Kind: (string?)argument.Name, Verb: verb.Name)));
        var options = verbs.SelectMany(verb => verb.Options.Where(option => option.Arity.MaximumNumberOfValues > 0 && option.ValueType != typeof(bool)).Select(option => (Symbol: (System.CommandLine.Symbol)option, Kind: option.HelpName, Verb: verb.Name)));
        var unknown = arguments.Concat(options).Where(one => !Verbs.CompletionNames.Know(one.Kind) && !free.Contains(one.Kind)
            && !one.Symbol.GetCompletions(System.CommandLine.Completions.CompletionContext.Empty).Any());
        Assert.That(unknown.Select(one => $"{one.Verb} {one.Symbol.Name}: {one.Kind}"), Is.Empty);
    }

    private static IEnumerable<System.CommandLine.Command> All(System.CommandLine.Command verb) => verb.Subcommands.SelectMany(All).Prepend(verb);

    [TestCase("work : pri", "private")]
    [TestCase("work :", "private root")]
    [TestCase("wo", "work:")]
    public async Task The_program_itself_completes_volumes_in_bash_which_takes_colons_for_ends_of_words(string typed, string words, CancellationToken token)
    {
        await using var daemon = ScriptedDaemon.Answering(ScriptedDaemon.NewPath(), request =>
            System.Text.Encoding.Latin1.GetBytes("0\0" + (request.StartsWith("mgmt.vm.List", StringComparison.Ordinal) ? "work class=AppVM state=Running\n" : "private\nroot\n")));
        var program = Path.Combine(AppContext.BaseDirectory, "mgmtctl");
        var script = $"source <({program} completion bash); COMP_WORDS=({program} --socket {daemon.Path} volume info {typed}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _mgmtctl {program}; echo \"${{COMPREPLY[@]}}\"";
        Assert.That(await RunAsync("bash", ["-c", script], token), Is.EqualTo((0, words + "\n", "")));
    }

    [Test]
    public async Task Without_a_daemon_there_are_no_names_and_no_complaint(CancellationToken token)
    {
        var ctl = new Ctl("/nonexistent/s");
        Assert.That((await ctl.RunAsync(token, "words", "--", "start", ""), ctl.Out, ctl.Error), Is.EqualTo((0, "", "")));
    }

    [Test]
    public async Task The_program_itself_completes_in_bash(CancellationToken token)
    {
        await using var daemon = ScriptedDaemon.Answering(ScriptedDaemon.NewPath(), "0\0work class=AppVM state=Running\n");
        var program = Path.Combine(AppContext.BaseDirectory, "mgmtctl");
        var script = $"source <({program} completion bash); COMP_WORDS=({program} --socket {daemon.Path} start wo); COMP_CWORD=4; _mgmtctl {program}; echo \"${{COMPREPLY[@]}}\"";
        Assert.That(await RunAsync("bash", ["-c", script], token), Is.EqualTo((0, "work\n", "")));
    }

    [Test]
    public async Task The_program_itself_loads_no_table_library_and_leaves_standard_input_alone(CancellationToken token)
    {
        await using var daemon = ScriptedDaemon.Answering(ScriptedDaemon.NewPath(), "0\0work class=AppVM state=Running\n");
        var lean = Directory.CreateTempSubdirectory("mgmtctl-").FullName;
        foreach (var file in Directory.GetFiles(AppContext.BaseDirectory, "*").Where(file => Path.GetFileName(file) != "Spectre.Console.dll"))
        {
            File.Copy(file, Path.Combine(lean, Path.GetFileName(file)));
        }
        // The loop's second turn sees what the program left of the input: all of it.
        var script = $"printf 'a\\nb\\n' | while read -r line; do {lean}/mgmtctl --socket {daemon.Path} ls; echo $line; done";
        var (code, text, error) = await RunAsync("bash", ["-c", script], token);
        Assert.That((code, text, error), Is.EqualTo((0, "work\tAppVM\tRunning\na\nwork\tAppVM\tRunning\nb\n", "")));
        Directory.Delete(lean, recursive: true);
    }

    [Test]
    public async Task The_program_itself_ends_when_its_reader_has_seen_enough(CancellationToken token)
    {
        await using var daemon = new ScriptedDaemon(ScriptedDaemon.NewPath(), async (_, socket, stop) =>
        {
            while (true)
            {
                await socket.SendAsync("1\0work\0domain-start\0\0"u8.ToArray(), stop);
                await Task.Yield();
            }
        });
        var script = $"{Path.Combine(AppContext.BaseDirectory, "mgmtctl")} --socket {daemon.Path} events --follow | head -n 1; echo ${{PIPESTATUS[0]}}";
        Assert.That(await RunAsync("bash", ["-c", script], token), Is.EqualTo((0, "work\tdomain-start\n141\n", "")));
    }

    [Test]
    public async Task Two_programs_write_one_after_the_other_to_one_file(CancellationToken token)
    {
        await using var daemon = ScriptedDaemon.Answering(ScriptedDaemon.NewPath(), "0\0work class=AppVM state=Running\n");
        var file = Path.GetTempFileName();
        var program = $"{Path.Combine(AppContext.BaseDirectory, "mgmtctl")} --socket {daemon.Path} ls";
        await RunAsync("bash", ["-c", $"{{ {program}; {program}; }} > {file}"], token);
        Assert.That(await File.ReadAllTextAsync(file, token), Is.EqualTo("work\tAppVM\tRunning\nwork\tAppVM\tRunning\n"));
    }

    [Test]
    public async Task Without_graphviz_a_picture_is_refused_by_its_name(CancellationToken token)
    {
        var directory = Directory.CreateTempSubdirectory("mgmtctl-").FullName;
        await File.WriteAllTextAsync(Path.Combine(directory, "vms.json"), "{\"domains\": {}}", token);
        var program = $"PATH=/nonexistent {Path.Combine(AppContext.BaseDirectory, "mgmtctl")} policy graph --svg --policy-dir {directory} --system-info {directory}/vms.json";
        var (code, text, error) = await RunAsync("bash", ["-c", program], token);
        Assert.That((code, text, error), Is.EqualTo((1, "", "mgmtctl: --svg needs the program dot of Graphviz (Debian package graphviz), and it cannot be started\n")));
        Directory.Delete(directory, recursive: true);
    }

    private static async Task<(int Code, string Out, string Error)> RunAsync(string program, string[] args, CancellationToken token)
    {
        using var process = Process.Start(new ProcessStartInfo(program, args) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true })!;
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync(token);
        var error = process.StandardError.ReadToEndAsync(token);
        await process.WaitForExitAsync(token);
        return (process.ExitCode, await output, await error);
    }
}
