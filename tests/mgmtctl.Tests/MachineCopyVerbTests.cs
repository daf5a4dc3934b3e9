using System.Text;

namespace Mgmt.Cli.Tests;

/// <summary>machine cp against a daemon that breaks off; with a whole one: MachineOfADaemonTests.</summary>
[CancelAfter(20_000)]
public sealed class MachineCopyVerbTests
{
    [TestCase("file")]
    [TestCase("directory")]
    public async Task A_copy_that_breaks_off_leaves_nothing_that_passes_for_one(string kind, CancellationToken token)
    {
        var directory = Directory.CreateTempSubdirectory().FullName;
        var answer = "0\0" + Frame('S', $"kind={kind}\nbytes=2000\nmode=640\n") + Frame('D', new string('x', 700));
        var (code, ctl, _) = await Ctl.AgainstAsync(answer, token, "machine", "cp", "web:/srv/thing", directory);
        Assert.That((code, Directory.GetFileSystemEntries(directory)), Is.EqualTo((1, Array.Empty<string>())), ctl.Error);
        Assert.That(ctl.Error, Does.StartWith("mgmtctl: "));
        Directory.Delete(directory);
    }

    [Test]
    public async Task A_whole_file_stays_with_its_permissions(CancellationToken token)
    {
        var directory = Directory.CreateTempSubdirectory().FullName;
        var answer = "0\0" + Frame('S', "kind=file\nbytes=5\nmode=640\n") + Frame('D', "hello") + Frame('X', "left_out=2\n");
        var (code, ctl, _) = await Ctl.AgainstAsync(answer, token, "machine", "cp", "web:/srv/thing", directory);
        var file = Path.Combine(directory, "thing");
        Assert.That((code, ctl.Error), Is.EqualTo((0, "mgmtctl: 2 devices, pipes or sockets were left out\n")));
        Assert.That(await File.ReadAllTextAsync(file, token), Is.EqualTo("hello"));
        Assert.That(File.GetUnixFileMode(file), Is.EqualTo((UnixFileMode)Convert.ToInt32("640", 8)));
        Directory.Delete(directory, recursive: true);
    }

    private static string Frame(char type, string text) => Encoding.Latin1.GetString([(byte)type, (byte)(text.Length >> 8), (byte)text.Length, .. Encoding.Latin1.GetBytes(text)]);
}
