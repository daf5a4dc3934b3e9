using System.Collections.Immutable;
using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Storage;

/// <summary>Pools whose volumes are thin logical volumes, by lvm2's own commands. SOURCE: docs/storage.md, "Thin pools of lvm2"; lvmthin(7).</summary>
public sealed class LvmThinDriver : IPoolDriver
{
    private const string GroupParameter = "volume_group", ThinPoolParameter = "thin_pool";
    internal const string RevisionsParameter = "revisions_to_keep";
    private readonly ILogger<LvmThinDriver> _logger;
    private readonly TimeProvider _time;
    private readonly ICommandRunner _runner;
    private readonly string _devices;
    private readonly Lock _gate = new();
    private readonly HashSet<(string, string)> _open = []; // under the gate

    /// <summary>Makes the driver. <paramref name="runner"/> runs the commands, null: on the host; <paramref name="devices"/> is where device nodes are.</summary>
    public LvmThinDriver(ILogger<LvmThinDriver> logger, TimeProvider time, ICommandRunner? runner = null, string devices = "/dev")
    {
        _logger = logger;
        _time = time;
        _runner = runner ?? new CommandRunner(time);
        _devices = devices;
    }

    /// <inheritdoc/>
    public string Name => "lvm_thin";

    /// <inheritdoc/>
    public ImmutableArray<PoolParameter> Parameters { get; } = [new(GroupParameter, true), new(ThinPoolParameter, true), new(RevisionsParameter, false)];

    /// <inheritdoc/>
    /// <remarks>ERRORS: also MgmtUnavailableError without lvm2.</remarks>
    public async Task<IStoragePool> OpenAsync(PoolRecord record, CancellationToken cancellation)
    {
        var (group, thinPool) = (NameIn(record, GroupParameter), NameIn(record, ThinPoolParameter));
        _ = RevisionsToKeep(record);
        RequireDeviceMapper(record);
        Claim(record, (group, thinPool));
        var copier = new LvmCopier(_runner, Path.Combine(_devices, group), _logger);
        var pool = new LvmThinPool(record, thinPool, new Lvm2(_runner, group, thinPool, _logger), copier, _logger, _time, () => Release((group, thinPool)));
        try
        {
            await pool.OpenAsync(cancellation);
            return pool;
        }
        catch
        {
            await pool.DisposeAsync();
            throw;
        }
    }

    /// <summary>How many revisions a pool keeps. ERRORS: StoragePoolException, QubesValueError.</summary>
    internal static int RevisionsToKeep(PoolRecord record)
    {
        var revisions = record.Config.GetValueOrDefault(RevisionsParameter) is { } text ? Parse.Number(text, RevisionsParameter, allowNegative: true) : 1;
        return revisions is >= -1 and <= int.MaxValue ? (int)revisions : throw new MgmtException(ErrorCode.StoragePoolException, "revisions_to_keep is -1 or more");
    }

    // SOURCE: lvm(8), "VALID NAMES".
    private static string NameIn(PoolRecord record, string parameter)
    {
        var name = record.Config.GetValueOrDefault(parameter) ?? "";
        return name.Length is > 0 and <= 64 && name[0] is not ('-' or '.') && Charset.IsAll(name, Charset.Argument)
            ? name
            : throw new MgmtException(ErrorCode.StoragePoolException, "%s is no name of lvm2: '%s'", parameter, name);
    }

    // Opening the node loads the module where there is one.
    private void RequireDeviceMapper(PoolRecord record)
    {
        using var control = Libc.Open(Path.Combine(_devices, "mapper", "control"), Libc.ReadOnly | Libc.CloseOnExec, 0);
        if (control.IsInvalid)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Pool %s needs device-mapper, which this host's kernel does not have", record.Name.Value);
        }
    }

    private void Claim(PoolRecord record, (string, string) pool)
    {
        lock (_gate)
        {
            if (!_open.Add(pool))
            {
                throw new MgmtException(ErrorCode.StoragePoolException, "The thin pool of %s is another pool's already", record.Name.Value);
            }
        }
    }

    private void Release((string, string) pool)
    {
        lock (_gate)
        {
            _open.Remove(pool);
        }
    }
}
