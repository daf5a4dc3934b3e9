using System.Text;

namespace Mgmt.State.Sqlite;

/// <summary>A prepared statement: bind, step, read, reset. Parameters count from 1 and columns from 0, as in SQLite.</summary>
internal sealed class SqliteStatement : IDisposable
{
    private const uint PreparePersistent = 1;
    private const int TypeNull = 5;
    private const nint Transient = -1;

    // A null pointer would be stored as NULL instead of as an empty text.
    private static readonly byte[] NotNull = new byte[1];

    private readonly SqliteConnection _connection;
    private nint _handle;

    internal SqliteStatement(SqliteConnection connection, string sql)
    {
        _connection = connection;
        var bytes = Encoding.UTF8.GetBytes(sql);
        connection.Check(NativeSqlite.Prepare(connection.Handle, bytes, bytes.Length, PreparePersistent, out _handle, 0));
    }

    private nint Handle => _handle != 0 ? _handle : throw new ObjectDisposedException(nameof(SqliteStatement));

    internal SqliteStatement Bind(int index, long value)
    {
        _connection.Check(NativeSqlite.BindInt64(Handle, index, value));
        return this;
    }

    /// <summary>Binds text, or NULL. ERRORS: QubesValueError when the text cannot be stored as it is.</summary>
    internal SqliteStatement Bind(int index, string? text)
    {
        if (text is null)
        {
            _connection.Check(NativeSqlite.BindNull(Handle, index));
            return this;
        }
        return BindUtf8(index, Encoding.UTF8.GetBytes(StoredText.Check(text)));
    }

    internal SqliteStatement BindUtf8(int index, ReadOnlySpan<byte> utf8)
    {
        _connection.Check(NativeSqlite.BindText(Handle, index, utf8.IsEmpty ? NotNull : utf8, utf8.Length, Transient));
        return this;
    }

    /// <summary>True when there is a row. After an error the statement is reset.</summary>
    internal bool Step()
    {
        var code = NativeSqlite.Step(Handle);
        if (code is SqliteResult.Row or SqliteResult.Done)
        {
            return code == SqliteResult.Row;
        }
        var failure = _connection.Failure(code);
        Reset();
        throw failure;
    }

    /// <summary>Steps a statement without rows to its end, and resets it.</summary>
    internal void Run()
    {
        Step();
        Reset();
    }

    /// <summary>Ready for the next use, holding no lock and no data. An open SELECT would hold up checkpoints.</summary>
    internal void Reset()
    {
        // Both repeat the code of the last step, which was reported there.
        _ = NativeSqlite.Reset(Handle);
        _ = NativeSqlite.ClearBindings(Handle);
    }

    internal bool IsNull(int column) => NativeSqlite.ColumnType(Handle, column) == TypeNull;

    internal long Int64(int column) => NativeSqlite.ColumnInt64(Handle, column);

    internal string Text(int column) => Encoding.UTF8.GetString(Utf8(column));

    /// <summary>The bytes of a text column, valid until the next step or reset.</summary>
    internal unsafe ReadOnlySpan<byte> Utf8(int column)
    {
        var text = NativeSqlite.ColumnText(Handle, column);
        return text == 0 ? default : new ReadOnlySpan<byte>((void*)text, NativeSqlite.ColumnBytes(Handle, column));
    }

    public void Dispose()
    {
        if (_handle != 0)
        {
            _ = NativeSqlite.Finalize(_handle);
            _handle = 0;
        }
    }
}
