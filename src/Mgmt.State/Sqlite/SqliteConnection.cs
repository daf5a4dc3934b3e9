using System.Runtime.InteropServices;

namespace Mgmt.State.Sqlite;

/// <summary>
/// One connection. It has no lock of its own (SQLITE_OPEN_NOMUTEX): the owner sees to it that one thread at a time uses
/// it and its statements.
/// </summary>
internal sealed class SqliteConnection : IDisposable
{
    private const int OpenReadWrite = 2, OpenNoMutex = 0x8000;
    private const int BusyTimeoutMilliseconds = 5_000;

    private readonly List<SqliteStatement> _statements = [];
    private nint _handle;

    private SqliteConnection(nint handle) => _handle = handle;

    internal nint Handle => _handle != 0 ? _handle : throw new ObjectDisposedException(nameof(SqliteConnection));

    /// <summary>Between BEGIN and COMMIT or ROLLBACK; some errors end a transaction by themselves.</summary>
    internal bool InTransaction => NativeSqlite.GetAutocommit(Handle) == 0;

    /// <summary>Opens a file that exists; it is never created here, because its mode is set by whoever creates it.</summary>
    internal static SqliteConnection Open(string file)
    {
        var code = NativeSqlite.Open(file, out var handle, OpenReadWrite | OpenNoMutex, 0);
        var connection = new SqliteConnection(handle);
        try
        {
            connection.Check(code);
            connection.Check(NativeSqlite.ExtendedResultCodes(handle, 1));
            connection.Check(NativeSqlite.BusyTimeout(handle, BusyTimeoutMilliseconds));
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>Runs statements that give no rows.</summary>
    internal void Execute(string sql) => Check(NativeSqlite.Exec(Handle, sql, 0, 0, 0));

    /// <summary>Prepares one statement; it is finalized with the connection.</summary>
    internal SqliteStatement Prepare(string sql)
    {
        var statement = new SqliteStatement(this, sql);
        _statements.Add(statement);
        return statement;
    }

    /// <summary>The first column of the first row as a number, or null when there is no row or it is NULL.</summary>
    internal long? QueryInt64(string sql)
    {
        using var statement = new SqliteStatement(this, sql);
        return statement.Step() && !statement.IsNull(0) ? statement.Int64(0) : null;
    }

    /// <summary>The first column of the first row as text, or null when there is no row or it is NULL.</summary>
    internal string? QueryText(string sql)
    {
        using var statement = new SqliteStatement(this, sql);
        return statement.Step() && !statement.IsNull(0) ? statement.Text(0) : null;
    }

    /// <summary>Throws the StateStoreException of a failed call.</summary>
    internal void Check(int code)
    {
        if (code != SqliteResult.Ok)
        {
            throw Failure(code);
        }
    }

    internal StateStoreException Failure(int code) =>
        new(code, _handle == 0 ? "out of memory" : Marshal.PtrToStringUTF8(NativeSqlite.ErrorMessage(_handle)) ?? "unknown error");

    public void Dispose()
    {
        foreach (var statement in _statements)
        {
            statement.Dispose();
        }
        _statements.Clear();
        if (_handle != 0)
        {
            // An error here has nobody to go to: what was committed is on disk already.
            _ = NativeSqlite.Close(_handle);
            _handle = 0;
        }
    }
}
