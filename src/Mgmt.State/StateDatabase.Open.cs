using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Mgmt.Core;
using Mgmt.State.Documents;
using Mgmt.State.Native;
using Mgmt.State.Sqlite;
using Microsoft.Extensions.Logging;

namespace Mgmt.State;

/// <content>From a file to a state in memory.</content>
internal sealed partial class StateDatabase
{
    /// <summary>What was found on disk or made there.</summary>
    internal sealed record Opened(StateDatabase Database, HostState State, ulong Epoch, bool IsNew);

    /// <summary>
    /// Opens the database, which may be an empty file, brings its schema up to date and loads it. ERRORS:
    /// MgmtUnavailableError, StateStoreException, FormatException or JsonException when it is damaged.
    /// </summary>
    internal static Opened Open(string file, StateStoreOptions options)
    {
        var connection = SqliteConnection.Open(file);
        try
        {
            // synchronous=FULL is what makes an acknowledged change survive a power cut under WAL. The limit is what
            // the log shrinks back to after a burst.
            connection.Execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 16777216");
            return Schema.IsEmpty(connection) ? Create(connection, file, options) : Load(connection, file, options);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    // One transaction: a daemon killed on the way leaves an empty file, and the next one begins anew.
    private static Opened Create(SqliteConnection connection, string file, StateStoreOptions options)
    {
        connection.Execute("BEGIN IMMEDIATE");
        Schema.Create(connection);
        var epoch = RenewEpoch(connection, StoreFile.Identity(file));
        var database = new StateDatabase(connection);
        var state = options.Seed is { } seed ? database.Seed(seed()) : HostState.Empty;
        database.Commit();
        Log.Created(options.Logger, options.Directory);
        return new(database, state, epoch, IsNew: true);
    }

    private static Opened Load(SqliteConnection connection, string file, StateStoreOptions options)
    {
        Schema.Migrate(connection, options.Directory, options.Logger);
        var identity = StoreFile.Identity(file);
        ulong epoch;
        if (connection.QueryText("SELECT value FROM meta WHERE name = 'identity'") == identity
            && ulong.TryParse(connection.QueryText("SELECT value FROM meta WHERE name = 'epoch'"), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var known))
        {
            epoch = known;
        }
        else
        {
            connection.Execute("BEGIN IMMEDIATE");
            epoch = RenewEpoch(connection, identity);
            connection.Execute("COMMIT");
            Log.EpochRenewed(options.Logger, epoch.ToString("x16", CultureInfo.InvariantCulture));
        }
        return new(new StateDatabase(connection), LoadState(connection), epoch, IsNew: false);
    }

    private static ulong RenewEpoch(SqliteConnection connection, string identity)
    {
        var epoch = BinaryPrimitives.ReadUInt64LittleEndian(RandomNumberGenerator.GetBytes(sizeof(ulong)));
        using var put = new SqliteStatement(connection, "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)");
        put.Bind(1, "epoch").Bind(2, epoch.ToString("x16", CultureInfo.InvariantCulture)).Run();
        put.Bind(1, "identity").Bind(2, identity).Run();
        return epoch;
    }

    private HostState Seed(HostSeed seed)
    {
        foreach (var vm in seed.Vms)
        {
            PutVm(vm);
        }
        foreach (var label in seed.Labels)
        {
            WriteLabel(label.Name, label);
        }
        foreach (var pool in seed.Pools)
        {
            WritePool(pool.Name, pool);
        }
        foreach (var (name, value) in seed.Properties)
        {
            WriteProperty(name, value);
        }
        return new HostState
        {
            Vms = seed.Vms.ToImmutableSortedDictionary(vm => vm.Name, vm => vm),
            NamesByUuid = seed.Vms.ToImmutableDictionary(vm => vm.Uuid, vm => vm.Name),
            Labels = seed.Labels.ToImmutableSortedDictionary(label => label.Name, label => label),
            Pools = seed.Pools.ToImmutableSortedDictionary(pool => pool.Name, pool => pool),
            Properties = VmRecord.Empty.AddRange(seed.Properties),
        };
    }

    private static HostState LoadState(SqliteConnection connection)
    {
        var strings = new StringPool();
        var vms = LoadVms(connection, strings);
        var labels = ImmutableSortedDictionary.CreateBuilder<LabelName, Label>();
        foreach (var row in Rows(connection, "SELECT name, number, color FROM label"))
        {
            var name = LabelName.Parse(row.Text(0));
            labels.Add(name, new Label(name, checked((int)row.Int64(1)), row.Text(2)));
        }
        var pools = ImmutableSortedDictionary.CreateBuilder<PoolName, PoolRecord>();
        foreach (var row in Rows(connection, "SELECT name, driver, config FROM pool"))
        {
            var name = PoolName.Parse(row.Text(0));
            pools.Add(name, new PoolRecord(name, row.Text(1), TextDocuments.ReadMap(row.Utf8(2), strings)));
        }
        var properties = VmRecord.Empty.ToBuilder();
        foreach (var row in Rows(connection, "SELECT name, value FROM property"))
        {
            properties.Add(row.Text(0), row.Text(1));
        }
        var inWork = ImmutableSortedSet.CreateBuilder<VolumeInWork>();
        foreach (var row in Rows(connection, "SELECT pool, vid FROM volume_in_work"))
        {
            inWork.Add(new(PoolName.Parse(row.Text(0)), Vid.Parse(row.Text(1))));
        }
        return new HostState
        {
            Vms = vms.ToImmutableSortedDictionary(vm => vm.Name, vm => vm),
            NamesByUuid = vms.ToImmutableDictionary(vm => vm.Uuid, vm => vm.Name),
            Labels = labels.ToImmutable(),
            Pools = pools.ToImmutable(),
            Properties = properties.ToImmutable(),
            VolumesInWork = inWork.ToImmutable(),
        };
    }

    private static List<VmRecord> LoadVms(SqliteConnection connection, StringPool strings)
    {
        var vms = new List<VmRecord>();
        foreach (var row in Rows(connection, "SELECT name, uuid, qid, document, run FROM vm"))
        {
            var name = row.Text(0);
            try
            {
                var run = row.IsNull(4) ? null : RunDocument.Read(row.Utf8(4));
                vms.Add(VmDocument.Read(row.Utf8(3), VmName.Parse(name), checked((int)row.Int64(2)), Guid.ParseExact(row.Text(1), "D"), run, strings));
            }
            catch (Exception e) when (e is FormatException or JsonException or InvalidOperationException or MgmtException or OverflowException)
            {
                throw new FormatException($"VM '{name}': {e.Message}", e);
            }
        }
        return vms;
    }

    private static IEnumerable<SqliteStatement> Rows(SqliteConnection connection, string sql)
    {
        using var query = new SqliteStatement(connection, sql);
        while (query.Step())
        {
            yield return query;
        }
    }
}
