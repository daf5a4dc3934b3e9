using System.Globalization;
using System.Text.Json;
using Mgmt.Core;

namespace Mgmt.Qemu;

/// <summary>A job as <c>query-jobs</c> has it. Error is null unless it failed.</summary>
internal sealed record DiskJob(string Id, string Status, CopyProgress Progress, string? Error);

/// <summary>QEMU's commands on disks. SOURCE: QEMU's QMP reference, block devices and background jobs. ERRORS: those of <see cref="QmpConnection"/>.</summary>
internal sealed class DiskCommands(QmpConnection monitor, TimeSpan deadline)
{
    private const string NoSpace = "No space left on device";

    public Task<long> AddFileAsync(CopyNames names, ImageLayer target, CancellationToken cancellation) => monitor.AddFileAsync(target.File, names.Job, deadline, cancellation);

    /// <summary>The target's nodes: formats are said, never probed, and a name inside the image is never followed.</summary>
    public async Task AddTargetAsync(CopyNames names, long set, ImageLayer target, CancellationToken cancellation)
    {
        // A block device and a file differ for QEMU only in the name of the driver.
        var driver = File.ResolveLinkTarget($"/proc/self/fd/{(int)target.File.DangerousGetHandle()}", false)?.FullName.StartsWith("/dev/", StringComparison.Ordinal) == true ? "host_device" : "file";
        await AskAsync("blockdev-add", Invariant($$"""{"driver":"{{driver}}","node-name":"{{names.File}}","filename":"/dev/fdset/{{set}}","discard":"unmap"}"""), cancellation);
        var backing = target.Format == "qcow2" ? ",\"backing\":null" : "";
        await AskAsync("blockdev-add", Invariant($$"""{"driver":"{{target.Format}}","node-name":"{{names.Job}}","file":"{{names.File}}","discard":"unmap"{{backing}}}"""), cancellation);
    }

    /// <summary>When this returns the moment that the copy shows is fixed. A speed of 0 is none.</summary>
    public Task BackUpAsync(CopyNames names, long bytesPerSecond, CancellationToken cancellation) => AskAsync("blockdev-backup", Invariant(
        $$"""{"job-id":"{{names.Job}}","device":"{{names.Disk}}","target":"{{names.Job}}","filter-node-name":"{{names.Filter}}","sync":"full","speed":{{bytesPerSecond}},"on-source-error":"report","on-target-error":"report","auto-finalize":true,"auto-dismiss":false}"""), cancellation);

    public Task ResizeAsync(string node, long sizeBytes, CancellationToken cancellation) =>
        AskAsync("block_resize", Invariant($$"""{"node-name":"{{node}}","size":{{sizeBytes}}}"""), cancellation);

    public Task CancelAsync(string job, CancellationToken cancellation) => AskAsync("block-job-cancel", Invariant($$"""{"device":"{{job}}","force":true}"""), cancellation);

    public Task DismissAsync(string job, CancellationToken cancellation) => AskAsync("job-dismiss", Invariant($$"""{"id":"{{job}}"}"""), cancellation);

    public Task RemoveNodeAsync(string node, CancellationToken cancellation) => AskAsync("blockdev-del", Invariant($$"""{"node-name":"{{node}}"}"""), cancellation);

    public Task RemoveFileAsync(long set, CancellationToken cancellation) => AskAsync("remove-fd", Invariant($$"""{"fdset-id":{{set}}}"""), cancellation);

    public async Task<IReadOnlyList<DiskJob>> JobsAsync(CancellationToken cancellation) =>
        [.. Items(await AskAsync("query-jobs", null, cancellation)).Where(job => job.Text("id") is not null).Select(job => new DiskJob(
            job.Text("id")!, job.Text("status") ?? "", new CopyProgress(Number(job, "current-progress") ?? 0, Number(job, "total-progress") ?? 0), job.Text("error")))];

    /// <summary>The names of all nodes.</summary>
    public async Task<IReadOnlySet<string>> NodesAsync(CancellationToken cancellation) =>
        Items(await AskAsync("query-named-block-nodes", """{"flat":true}""", cancellation)).Select(node => node.Text("node-name")).OfType<string>().ToHashSet(StringComparer.Ordinal);

    /// <summary>The sets of descriptors whose mark begins so.</summary>
    public async Task<IReadOnlyList<long>> FileSetsAsync(string prefix, CancellationToken cancellation) =>
        [.. Items(await AskAsync("query-fdsets", null, cancellation))
            .Where(set => set.TryGetProperty("fds", out var files) && Items(files).Any(file => file.Text("opaque")?.StartsWith(prefix, StringComparison.Ordinal) == true))
            .Select(set => Number(set, "fdset-id")).OfType<long>()];

    /// <summary>The marks of all descriptors.</summary>
    public async Task<IReadOnlyList<string>> FileMarksAsync(CancellationToken cancellation) =>
        [.. Items(await AskAsync("query-fdsets", null, cancellation)).Where(set => set.TryGetProperty("fds", out _)).SelectMany(set => Items(set.GetProperty("fds"))).Select(file => file.Text("opaque")).OfType<string>()];

    /// <summary>QEMU's own refusal of something about a disk as what it is to our caller.</summary>
    public static MgmtException Explain(MgmtException error) => error.Code != ErrorCode.QubesException ? error : Failure(error.Fields[^1], error);

    /// <summary>A job's error, or a refusal.</summary>
    public static MgmtException Failure(string words, Exception? inner) => words.Contains(NoSpace, StringComparison.Ordinal)
        ? new MgmtException(inner, ErrorCode.MgmtNoSpaceError, "No space left: %s", words)
        : new MgmtException(inner, ErrorCode.StoragePoolException, "QEMU could not do it: %s", words);

    private async Task<JsonElement> AskAsync(string command, string? arguments, CancellationToken cancellation) =>
        await monitor.ExecuteAsync(command, arguments, deadline, cancellation);

    private static IEnumerable<JsonElement> Items(JsonElement list) => list.ValueKind == JsonValueKind.Array ? list.EnumerateArray() : [];

    private static long? Number(JsonElement element, string key) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number) ? number : null;

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
