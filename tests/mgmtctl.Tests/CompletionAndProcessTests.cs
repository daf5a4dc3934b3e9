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
