using System.Collections.Immutable;
using System.Globalization;
using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Storage;

/// <summary>
/// lvm2's own commands, on one thin pool. Every argument is a constant, a checked name or a number. Each command is one transaction of the volume
/// group's metadata; one that fails may have got there before it failed (lvremove does), so what lvs says afterwards is what counts. ERRORS of all: MgmtNoSpaceError, StoragePoolException, MgmtTimeoutError, MgmtUnavailableError.
/// </summary>
internal sealed class Lvm2(ICommandRunner runner, string group, string thinPool, ILogger logger)
{
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(2);

    // lvm2 has no exit status of its own for a full pool. SOURCE: lib/metadata/thin_manip.c, lib/metadata/lv_manip.c.
    private static readonly string[] _noSpace = ["insufficient free space", "No space left on device", "reached threshold", "out of data space", "Insufficient suitable"];

    internal async Task<ImmutableArray<LogicalVolume>> ListAsync(CancellationToken cancellation) => LvmReport.Parse(
        await RunAsync("lvs", cancellation, "--reportformat", "json", "--units", "b", "--nosuffix", "--options", LvmReport.Fields, group));

    /// <summary>An empty thin volume; lvm2 rounds the size up to whole extents.</summary>
    internal Task CreateAsync(string name, long sizeBytes, ImmutableArray<string> tags, CancellationToken cancellation) => RunAsync("lvcreate", cancellation,
        ["--yes", "--type", "thin", "--virtualsize", Bytes(sizeBytes), "--thinpool", thinPool, "--name", name, "--setactivationskip", "n", .. Add(tags), group]);

    /// <summary>A thin volume that begins with what another holds.</summary>
    internal Task SnapshotAsync(string origin, string name, bool readOnly, ImmutableArray<string> tags, CancellationToken cancellation) => RunAsync("lvcreate", cancellation,
        ["--yes", "--snapshot", "--name", name, "--setactivationskip", "n", "--permission", readOnly ? "r" : "rw", .. Add(tags), Full(origin)]);

    internal Task RenameAsync(string from, string to, CancellationToken cancellation) => RunAsync("lvrename", cancellation, "--yes", group, from, to);

    internal Task RemoveAsync(string name, CancellationToken cancellation) => RunAsync("lvremove", cancellation, "--yes", "--force", Full(name));

    internal Task TagAsync(string name, ImmutableArray<string> tags, CancellationToken cancellation) =>
        RunAsync("lvchange", cancellation, ["--yes", .. Add(tags), Full(name)]);

    internal Task UntagAsync(string name, string tag, CancellationToken cancellation) => RunAsync("lvchange", cancellation, "--yes", "--deltag", tag, Full(name));

    internal Task ActivateAsync(string name, CancellationToken cancellation) =>
        RunAsync("lvchange", cancellation, "--yes", "--activate", "y", "--ignoreactivationskip", Full(name));

    /// <summary>Another size in bytes, which must be another number of extents.</summary>
    internal Task ResizeAsync(string name, long sizeBytes, bool shrink, CancellationToken cancellation) => shrink
        ? RunAsync("lvreduce", cancellation, "--yes", "--force", "--size", Bytes(sizeBytes), Full(name))
        : RunAsync("lvextend", cancellation, "--yes", "--size", Bytes(sizeBytes), Full(name));

    private static IEnumerable<string> Add(ImmutableArray<string> tags) => tags.SelectMany(tag => (string[])["--addtag", tag]);

    private static string Bytes(long size) => size.ToString(CultureInfo.InvariantCulture) + "b";

    private string Full(string name) => $"{group}/{name}";

    private async Task<string> RunAsync(string command, CancellationToken cancellation, params string[] arguments)
    {
        var result = await runner.RunAsync(command, [.. arguments], Deadline, cancellation);
        if (result.Status == 0)
        {
            return result.Output;
        }
        Log.ToolFailed(logger, command, arguments[^1], result.Status, result.Errors);
        throw _noSpace.Any(words => result.Errors.Contains(words, StringComparison.OrdinalIgnoreCase))
            ? new MgmtException(ErrorCode.MgmtNoSpaceError, "No space left in thin pool %s", thinPool)
            : new MgmtException(ErrorCode.StoragePoolException, "%s failed; the daemon's log says why", command);
    }
}
