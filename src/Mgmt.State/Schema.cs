using System.Globalization;
using Mgmt.Core;
using Mgmt.State.Sqlite;
using Microsoft.Extensions.Logging;

namespace Mgmt.State;

/// <summary>
/// The tables, as the steps that made them. PRAGMA user_version counts the steps taken. A step that was released is
/// never edited: the next change is a new step.
/// </summary>
internal static class Schema
{
    // "Mgmt": tells our file from somebody else's.
    private const int ApplicationId = 0x4D676D74;

    private static readonly string[] Steps =
    [
        // 1: what is kept. Documents are JSON; journal.time is in milliseconds since 1970.
        """
        CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE vm (name TEXT NOT NULL PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, qid INTEGER NOT NULL, document TEXT NOT NULL, run TEXT);
        CREATE TABLE label (name TEXT NOT NULL PRIMARY KEY, number INTEGER NOT NULL, color TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE pool (name TEXT NOT NULL PRIMARY KEY, driver TEXT NOT NULL, config TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE property (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE journal (seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, subject TEXT NOT NULL, name TEXT NOT NULL, pairs TEXT NOT NULL);
        """,
        // 2: a qid is the uid of a VM's process, so two VMs with one qid could reach each other's memory.
        "CREATE UNIQUE INDEX vm_qid ON vm (qid);",
        // 3: volumes whose files may be there while no VM names them, so that what a killed daemon left half-made is found.
        "CREATE TABLE volume_in_work (pool TEXT NOT NULL, vid TEXT NOT NULL, PRIMARY KEY (pool, vid)) WITHOUT ROWID;",
        // 4: a VM's document may have devices; the number keeps out programs that do not know them.
        "DELETE FROM meta WHERE name = '';",
    ];

    /// <summary>The version this program writes.</summary>
    internal static int Version => Steps.Length;

    /// <summary>Whether the file was never written to.</summary>
    internal static bool IsEmpty(SqliteConnection connection) =>
        ReadVersion(connection) == 0 && connection.QueryInt64("SELECT count(*) FROM sqlite_schema") == 0;

    /// <summary>Makes all tables; the caller holds the transaction.</summary>
    internal static void Create(SqliteConnection connection)
    {
        connection.Execute(string.Create(CultureInfo.InvariantCulture, $"PRAGMA application_id = {ApplicationId}"));
        for (var version = 0; version < Version; version++)
        {
            Step(connection, version);
        }
    }

    /// <summary>Brings an older file up to date, a transaction per step. ERRORS: MgmtUnavailableError when it is newer or not ours.</summary>
    internal static void Migrate(SqliteConnection connection, string directory, ILogger logger)
    {
        var version = ReadVersion(connection);
        if (connection.QueryInt64("PRAGMA application_id") != ApplicationId)
        {
            throw new MgmtException(ErrorCode.MgmtUnavailableError, "state directory %s holds a database that mgmtd did not make", directory);
        }
        if (version > Version)
        {
            throw new MgmtException(ErrorCode.MgmtUnavailableError,
                "state directory %s was written by a newer mgmtd (schema %s, this one knows %s); install that version or give another --state-dir",
                directory, version.ToString(CultureInfo.InvariantCulture), Version.ToString(CultureInfo.InvariantCulture));
        }
        for (; version < Version; version++)
        {
            connection.Execute("BEGIN IMMEDIATE");
            try
            {
                Step(connection, (int)version);
                connection.Execute("COMMIT");
            }
            catch
            {
                if (connection.InTransaction)
                {
                    connection.Execute("ROLLBACK");
                }
                throw;
            }
            Log.Migrated(logger, version + 1);
        }
    }

    private static void Step(SqliteConnection connection, int version)
    {
        connection.Execute(Steps[version]);
        connection.Execute(string.Create(CultureInfo.InvariantCulture, $"PRAGMA user_version = {version + 1}"));
    }

    private static long ReadVersion(SqliteConnection connection) => connection.QueryInt64("PRAGMA user_version") ?? 0;
}
