using Mgmt.State.Sqlite;

namespace Mgmt.State;

/// <summary>
/// SQLite refused something. Callers see it only where it is a defect of ours, such as two VMs with one qid; what can
/// happen to a healthy daemon arrives as a <see cref="Core.MgmtException"/> with this one inside.
/// </summary>
public sealed class StateStoreException : Exception
{
    /// <summary>Makes the exception of a result code. SOURCE: https://www.sqlite.org/rescode.html.</summary>
    public StateStoreException(int resultCode, string message)
        : base($"{message} (SQLite {resultCode})") => ResultCode = resultCode;

    /// <summary>SQLite's extended result code.</summary>
    public int ResultCode { get; }

    /// <summary>No room: the change is undone and the store goes on.</summary>
    internal bool IsFull => SqliteResult.Primary(ResultCode) == SqliteResult.Full;

    /// <summary>Another program holds the database: the change is undone and the store goes on.</summary>
    internal bool IsBusy => SqliteResult.Primary(ResultCode) is SqliteResult.Busy or SqliteResult.Locked;

    /// <summary>The fault of the one change that was written: it is undone alone and the store goes on.</summary>
    internal bool IsRefusedValue => SqliteResult.Primary(ResultCode) is SqliteResult.Constraint or SqliteResult.TooBig or SqliteResult.Mismatch;

    /// <summary>Nobody knows what is on disk now: after this the store takes no more changes.</summary>
    internal bool IsFatal => !IsFull && !IsBusy && !IsRefusedValue;
}
