using Mgmt.Wire.Tests;

namespace Mgmt.Cli.Tests;

[CancelAfter(20_000)]
public sealed class TopVerbTests
{
    private const string Begin = "1\0\0connection-established\0\0";

    [Test]
    public async Task Each_round_is_lines_sorted_by_name(CancellationToken token)
    {
        var (code, ctl, requests) = await Ctl.AgainstAsync(Begin + Usage("work", 0, 100) + Usage("mail", 0, 50) + Usage("work", 12, 160), token, "top");
        Assert.That((code, ctl.Out, ctl.Error), Is.EqualTo((0, "mail\t0\t204800\t409600\t2\t50\nwork\t0\t204800\t409600\t2\t100\nwork\t12\t204800\t409600\t2\t160\n", "")));
        Assert.That(requests.Single(), Is.EqualTo("mgmt.vm.Stats+ dom0 name dom0\0"));
    }

    [Test]
    public async Task Once_is_the_round_after_the_first(CancellationToken token)
    {
        var (code, ctl, requests) = await Ctl.AgainstAsync(
            request => request.StartsWith("mgmt.vm.List", StringComparison.Ordinal) ? "0\0work class=AppVM state=Running\n" : Begin + Usage("work", 0, 1) + Usage("work", 7, 2) + Usage("work", 9, 3),
            token, "top", "work", "--once", "--json");
        Assert.That((code, ctl.Out), Is.EqualTo((0, "[{\"vm\":\"work\",\"cpu\":7,\"memory\":204800,\"assigned\":409600,\"vcpus\":2,\"cpu_ms\":2}]\n")));
        Assert.That(requests[^1], Is.EqualTo("mgmt.vm.Stats+ dom0 name work\0"));
    }

    [Test]
    public async Task A_terminal_gets_one_table_that_is_drawn_anew(CancellationToken token)
    {
        await using var daemon = ScriptedDaemon.Answering(ScriptedDaemon.NewPath(), _ => System.Text.Encoding.Latin1.GetBytes(Begin + Usage("work", 0, 1) + Usage("work", 7, 2)));
        var ctl = new Ctl(daemon.Path) { OutIsTerminal = true };
        Assert.That(await ctl.RunAsync(token, "top"), Is.Zero);
        var drawn = ctl.Out.Split("\u001b[H\u001b[J");
        Assert.That(drawn, Has.Length.EqualTo(3));
        Assert.That(drawn[1..], Has.All.StartsWith("VM ").And.All.Contains("200.0 KiB").Or.All.Contains("200 KiB"));
    }

    [Test]
    public async Task A_caller_who_is_denied_is_told_so(CancellationToken token)
    {
        var (code, ctl, _) = await Ctl.AgainstAsync("2\0PermissionDenied\0\0Denied\0", token, "top");
        Assert.That((code, ctl.Error), Is.EqualTo((126, "mgmtctl: Denied\n")));
    }

    private static string Usage(string vm, int percent, int milliseconds) =>
        $"1\0{vm}\0vm-stats\0memory_kb\0200\0memory_assigned_total\0400\0memory_assigned_usable\0400\0memory_with_swap_used\0200\0cpu_time\0{milliseconds}\0cpu_usage\0{percent}\0online_vcpus\02\0\0";
}
