using System.CommandLine;
using System.Text;
using Mgmt.Cli.Formats;
using Mgmt.Cli.Rendering;
using Mgmt.Core;
using Mgmt.Wire;

namespace Mgmt.Cli.Verbs;

/// <summary>volume import: a file gives the volume its size (ImportWithSize); a stream of unknown length must be as long as the volume (Import).</summary>
internal static class VolumeImportVerb
{
    public static Command Create(CommandLine cli)
    {
        var which = VolumeAddress.Argument();
        var file = new Argument<string>("FILE") { Description = "A raw disk image, - for standard input" };
        var size = new Option<string?>("--size") { Description = "How many bytes there are, and the size the volume gets; a file's own when not given", HelpName = "SIZE" };
        var progress = Symbols.Progress();
        string[] examples =
        [
            "mgmtctl volume import work:private disk.raw", "mgmtctl volume import work:private --size 10GiB - < /dev/vg/disk",
            "qemu-img convert -O raw disk.qcow2 disk.raw && mgmtctl volume import work:root disk.raw",
        ];
        return cli.Verb("import", "Fill the volume of a halted VM with a raw disk image", examples, [which, file, size, progress], async (run, token) =>
        {
            var volume = VolumeAddress.Parse(run.Get(which)!);
            var given = run.Get(size) is { } text ? ByteSize.Parse(text) : (ByteSize?)null;
            await using var data = run.Get(file) == "-" ? run.Terminal.OpenInput() : File.OpenRead(run.Get(file)!);
            await SendAsync(run, volume, data, given ?? SizeOf(data), run.Get(progress), token);
            return ExitCode.Done;
        });
    }

    private static async Task SendAsync(Run run, VolumeAddress volume, Stream data, ByteSize? size, bool plainLines, CancellationToken cancellationToken)
    {
        var call = size is null ? "mgmt.vm.volume.Import" : "mgmt.vm.volume.ImportWithSize";
        var header = new RequestHeader(call, volume.Volume, Daemon.Host, DestinationKind.Name, volume.Vm);
        var first = size is null ? [] : Encoding.ASCII.GetBytes($"{size}\n");
        await ProgressBar.RunAsync(run, $"{volume}", size?.Bytes ?? 0, plainLines, progress =>
            run.Daemon.CallAsync(header, first, data, progress is null ? null : new Sent(progress, size?.Bytes ?? 0), cancellationToken));
    }

    /// <summary>A file's length. Pipes and devices have none to tell.</summary>
    private static ByteSize? SizeOf(Stream data) => data is FileStream { CanSeek: true } and { Length: > 0 } ? new ByteSize(data.Length) : null;

    private sealed class Sent(IProgress<CopyProgress> progress, long total) : IProgress<long>
    {
        public void Report(long value) => progress.Report(new CopyProgress(value, total));
    }
}
