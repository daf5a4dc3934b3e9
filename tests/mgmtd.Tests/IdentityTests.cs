using System.Diagnostics;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>Who is connected is what the kernel says. As root, with setpriv(1) and socat(1).</summary>
public sealed class IdentityTests : DaemonFixture
{
    private const int FrontEnd = 54321;
    private const int Stranger = 54322;

    protected override DaemonOptions Options => new()
    {
        // A group that exists everywhere and that nobody is in here.
        Config = $$"""{ "front-end-uids": ["{{FrontEnd}}"], "group": "games" }""",
        Policy = new Dictionary<string, string>(StringComparer.Ordinal) { ["20-test.policy"] = "mgmt.vm.CurrentState * work vault allow\n" },
    };

    [SetUp]
    public void Needs()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            Requirement.Missing("these tests need root");
        }
        foreach (var tool in new[] { "/usr/bin/setpriv", "/usr/bin/socat" })
        {
            if (!File.Exists(tool))
            {
                Requirement.Missing(tool);
            }
        }
        // The directories above the socket are root's alone; here others have to get as far as the socket.
        File.SetUnixFileMode(Path.GetDirectoryName(Daemon.RunDirectory)!, (UnixFileMode)Convert.ToInt32("755", 8));
        File.SetUnixFileMode(Daemon.RunDirectory, (UnixFileMode)Convert.ToInt32("755", 8));
        File.SetUnixFileMode(Daemon.SocketPath, (UnixFileMode)Convert.ToInt32("666", 8));
    }

    [TestCase("work", "vault", ExpectedResult = "0")]
    [TestCase("work", "sys-net", ExpectedResult = "2 PermissionDenied")]
    [TestCase("dom0", "vault", ExpectedResult = "2 PermissionDenied")]
    [TestCase("@adminvm", "vault", ExpectedResult = "2 PermissionDenied")]
    [TestCase("uuid:00000000-0000-0000-0000-000000000000", "vault", ExpectedResult = "2 PermissionDenied")]
    [TestCase("Domain-0", "vault", ExpectedResult = "2 PermissionDenied")]
    public Task<string> A_front_end_speaks_for_vms_and_never_for_dom0(string source, string target) =>
        AsAsync(FrontEnd, FrontEnd, "mgmt.vm.CurrentState", source, target);

    [TestCase("dom0", ExpectedResult = "0")]
    [TestCase("work", ExpectedResult = "2 PermissionDenied")]
    public Task<string> A_member_of_the_group_is_dom0(string source) => AsAsync(Stranger, GroupId(), "mgmt.vm.CurrentState", source, "vault");

    [TestCase("dom0", ExpectedResult = "0")]
    [TestCase("work", ExpectedResult = "2 PermissionDenied")]
    public Task<string> A_member_of_the_group_by_a_supplementary_group_is_dom0(string source) =>
        AsAsync(Stranger, Stranger, "mgmt.vm.CurrentState", source, "vault", $"--groups={Stranger + 1},{GroupId()},{Stranger + 2}");

    [TestCase("dom0", "mgmt.", ExpectedResult = "2 PermissionDenied")]
    [TestCase("work", "mgmt.", ExpectedResult = "2 PermissionDenied")]
    [TestCase("work", "admin.", ExpectedResult = "2 QubesDaemonAccessError")]
    public Task<string> Anybody_else_is_nobody(string source, string dialect) => AsAsync(Stranger, Stranger, dialect + "vm.CurrentState", source, "vault");

    [Test]
    public async Task The_socket_and_its_directory_are_closed_to_others()
    {
        await using var daemon = await DaemonProcess.StartAsync();
        Assert.That(File.GetUnixFileMode(daemon.SocketPath) & (UnixFileMode.OtherRead | UnixFileMode.OtherWrite), Is.EqualTo(UnixFileMode.None));
        Assert.That((int)File.GetUnixFileMode(daemon.RunDirectory), Is.EqualTo(Convert.ToInt32("750", 8)));
        Assert.That((int)File.GetUnixFileMode(daemon.StateDirectory), Is.EqualTo(Convert.ToInt32("700", 8)));
    }

    private static int GroupId() =>
        int.Parse(File.ReadLines("/etc/group").Select(l => l.Split(':')).Single(f => f[0] == "games")[2], System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>The first byte of the reply, and the type of an exception.</summary>
    private async Task<string> AsAsync(int uid, int gid, string method, string source, string target, string groups = "--clear-groups")
    {
        string[] words = [$"--reuid={uid}", $"--regid={gid}", groups, "socat", "-t", "20", "-", "UNIX-CONNECT:" + Daemon.SocketPath];
        using var process = Process.Start(new ProcessStartInfo("/usr/bin/setpriv", words) { RedirectStandardInput = true, RedirectStandardOutput = true, WorkingDirectory = "/" })!;
        await process.StandardInput.WriteAsync($"{method} {source} name {target}\0");
        process.StandardInput.Close();
        using var limit = new CancellationTokenSource(DaemonProcess.Deadline);
        var parts = (await process.StandardOutput.ReadToEndAsync(limit.Token)).Split('\0');
        await process.WaitForExitAsync(limit.Token);
        return parts[0] == "0" ? "0" : $"{parts[0]} {parts[1]}";
    }
}
